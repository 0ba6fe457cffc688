"""Tasks as Label Studio exports them."""

TEXT = "😀 Ann meets Bob in Rome"


def region(id, start, end, /, *labels, **value):
    return {
        "id": id, "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual",
        "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": list(labels), **value},
    }  # fmt: skip


def relation(head, tail, *labels, **fields):
    return {"type": "relation", "from_id": head, "to_id": tail, "direction": "right", "labels": list(labels), **fields}


ANN, BOB, ROME = region("a", 2, 5, "PER"), region("b", 12, 15, "PER"), region("r", 19, 23, "LOC")


def annotation(*result, **fields):
    return {"id": 11, "completed_by": 1, "was_cancelled": False, "result": list(result), **fields}


def task(*annotations, **fields):
    return {"id": 3, "data": {"text": TEXT, "image": "a.png"}, "annotations": list(annotations), "predictions": [],
            **fields}  # fmt: skip


def exported(count=10, **data):
    """Posts with one relation, /per/per/couple or lives, and one unrelated pair in both orders."""
    tasks = []
    for i in range(count):
        kind = relation("a", "b", "/per/per/couple") if i % 2 else relation("a", "r", "lives")
        one = task(annotation(ANN, BOB, ROME, kind), id=i)
        one["data"] |= {"text": f"{one['data']['text']} {i}", "image": None, **data}
        tasks.append(one)
    return tasks
