"""A network applied to a packet. A stage knows no thread, queue, clock or metric."""
