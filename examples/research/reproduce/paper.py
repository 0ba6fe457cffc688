"""Scores quoted from the TGDI paper: MNRE's test split, BERT-base, CLIP and the published object crops, whose number
leaks the label. Not comparable with scores on another split, with other encoders or without these crops."""

# Table 2: precision, recall and F1 by experiment, in the paper's order. Accuracies are in Fig. 3 only, as bars without
# numbers.
TABLE_2 = {
    "cnn": (57.81, 46.25, 51.39),
    "pcnn": (62.85, 49.69, 55.49),
    "mtb": (64.46, 57.81, 60.86),
    "visualbert": (57.15, 59.48, 58.30),
    "bert-objects": (62.95, 62.65, 62.80),  # BERT + SG
    "bert-objects-attention": (60.97, 66.56, 63.64),  # BERT + SG + Att
    "umt": (62.93, 63.88, 63.46),
    "umgf": (64.38, 66.23, 65.29),
    "mega": (64.51, 68.44, 66.41),
    "ifaformer": (82.59, 80.78, 81.67),
    "hvpnet": (83.64, 80.78, 81.85),
    "mkgformer": (82.67, 81.25, 81.95),
    "tgdi-paper": (84.18, 83.13, 83.65),
    "tgdi": (84.18, 83.13, 83.65),
    "tgdi-without-caption": (83.86, 82.81, 83.33),
    "tgdi-without-tmmg": (83.36, 83.75, 83.55),
    "tgdi-without-cmi": (81.75, 81.87, 81.81),
    "tgdi-without-toi": (82.28, 81.25, 81.76),
    "tgdi-without-r": (81.75, 81.88, 81.81),
}
# Table 3: rows of the test split, F1 of HVPNeT and of TGDI.
TABLE_3 = {
    "/per/per/peer": (156, 88.96, 91.69),
    "/per/org/member_of": (110, 80.33, 83.70),
    "/loc/loc/contain": (99, 93.88, 96.55),
    "/per/misc/present_in": (74, 75.00, 83.69),
    "/org/loc/locate_at": (46, 85.06, 83.72),
    "/per/loc/place_of_residence": (29, 63.16, 64.41),
}
