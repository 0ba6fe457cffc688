from tgdi_hf.inference.prediction_rows import TABLE_COLUMNS, as_table, with_entity_names, without_maps

HEAD, TAIL = {"text": "Ann", "start": 0, "end": 3}, {"text": "Bob", "start": 10, "end": 13}
PREDICTION = {"relation": "friend of", "score": 0.5, "head": HEAD, "tail": TAIL}


def test_a_table_has_the_same_columns_for_any_predictions():
    one, two = as_table([PREDICTION]), as_table([{"error": "no text", "field": "text"}, {"pairs": [PREDICTION]}])
    assert one.schema == two.schema
    assert one.column_names == list(TABLE_COLUMNS)
    assert one.to_pylist()[0]["relation"] == "friend of"
    assert two.to_pylist()[0]["error"] == "no text"
    assert '"friend of"' in two.to_pylist()[1]["pairs"]


def test_only_formats_with_columns_get_the_texts_of_entities():
    assert with_entity_names(PREDICTION, ".jsonl") == PREDICTION
    named = with_entity_names(PREDICTION, ".csv")
    assert (named["head"], named["tail"]) == ("Ann", "Bob")
    several = {"pairs": [PREDICTION]}
    assert with_entity_names(several, ".csv") == several


def test_maps_are_removed_from_all_evidence():
    def evidence():
        return {"similarity": [[0.5]], "cosine": [[0.5]], "gate": 0.5}

    prediction = without_maps({"evidence": evidence(), "pairs": [{"evidence": evidence()}, {}]})
    assert prediction == {"evidence": {"gate": 0.5}, "pairs": [{"evidence": {"gate": 0.5}}, {}]}
