"""Which bytes the work of a stream uses: two streams on the same ones need an event between them."""
from .ledger import ledger


def order(line, block, start, end, writes):
    """Record that the work queued next on the line uses these bytes, and that nothing orders it after earlier work."""
    if line.capture is not None:
        line.capture.steps.append(("use", block, start, end, writes))
        return
    number = line.made + 1
    if block.sole is not line:
        if block.sole is None:
            block.sole = line
        else:
            block.sole = False
            _find_race(line, block, start, end, writes)
    if writes:
        block.writers[(start, end)] = (line, number)
    else:
        block.readers[(start, end, line.number)] = (line, number)


def order_now(line, block, start, end):
    """The same for work that is being computed, which reads bytes by an address that it found in memory."""
    number = line.done + 1
    for (a, b), (other, theirs) in list(block.writers.items()):
        apart = other is not line and other.done < theirs and line.known.get(other.number, 0) < theirs
        if apart and a < end and start < b and other.known.get(line.number, 0) < number:
            ledger.violation("race", "two streams use the same {} and no event orders them".format(block.what))
    block.sole = line if block.sole in (None, line) else False
    block.readers[(start, end, line.number)] = (line, number)


def _find_race(line, block, start, end, writes):
    users = [user for (a, b), user in list(block.writers.items()) if a < end and start < b]
    if writes:
        users += [user for (a, b, _), user in list(block.readers.items()) if a < end and start < b]
    for other, theirs in users:
        if other is not line and other.done < theirs and line.known.get(other.number, 0) < theirs:
            ledger.violation("race", "two streams use the same {} and no event orders them".format(block.what))
