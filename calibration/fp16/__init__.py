"""What a network loses in 16 bits, and which of its layers are to be kept in 32."""
