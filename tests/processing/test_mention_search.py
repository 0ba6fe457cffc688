import unicodedata

import pytest

from tgdi_hf.processing.mention_search import near_miss, occurrences

FAMILY, FLAGS = "👩\u200d👩\u200d👧", "🇫🇷🇩🇪"


@pytest.mark.parametrize(
    ("text", "mention", "places"),
    [
        ("Annual Ann", "Ann", [(7, 10)]),
        ("Annual Annotated", "Ann", [(0, 3), (7, 10)]),  # only inside longer words
        ("#Obama2012 won", "Obama", [(1, 6)]),
        ("#Obama2012 Obama won", "Obama", [(11, 16)]),
        ("AT&T and AT", "AT&T", [(0, 4)]),
        ("in C++ he", "C++", [(3, 6)]),
        ("JFK", " JFK\u200b ", [(0, 3)]),
        ("Ärzte und Ärztekammer", "Ärzte", [(0, 5)]),
        ("Bora Bora Bora", "Bora Bora", [(0, 9), (5, 14)]),
        ("JFK", "Obama", []),
        ("JFK", "", []),
        ("JFK", " \u200b", []),
        # Underscores, marks and joiners continue a word; apostrophes and hyphens end it.
        ("Obama_2012 and Obama", "Obama", [(15, 20)]),
        ("@team_obama obama", "obama", [(12, 17)]),
        ("snake_case", "case", [(6, 10)]),
        ("Biden's plan", "Biden", [(0, 5)]),
        ("Biden’s and Biden", "Biden", [(0, 5), (12, 17)]),
        ("Jean-Luc, Jean", "Jean", [(0, 4), (10, 14)]),
        ("#Obama Obama", "Obama", [(1, 6), (7, 12)]),
        ("@Obama", "Obama", [(1, 6)]),
        ("soft\u00adware soft", "soft", [(10, 14)]),
        ("کتاب\u200cها و کتاب", "کتاب", [(10, 14)]),
        ("کتاب\u200cها", "کتاب", [(0, 4)]),
        ("Acme\u200d and Acmes", "Acme", [(0, 4)]),  # a dangling joiner
        ("Obama\u200f, Obamas", "Obama", [(0, 5)]),
        ("a\u200bb ab", "b", [(2, 3)]),  # a zero-width space separates words
        # Letters are not separated from their accents.
        ("Jose\u0301 met Jose", "Jose", [(10, 14)]),
        ("Jose\u0301", "Jose", []),
        ("Jose\u0301phine met Jose\u0301", "Jose\u0301", [(15, 20)]),
        ("Nguye\u0302\u0303n and Nguye\u0302n", "Nguye\u0302n", [(13, 20)]),
        ("नरेन्द्र मोदी", "नरेन", []),
        ("राम और रामायण", "राम", [(0, 3)]),
        ("رَجُل", "رج", []),
        ("မြန်မာ", "မြန်မ", []),
        # Grapheme clusters are not cut.
        (f"{FAMILY} and 👩", "👩", [(10, 11)]),
        (FLAGS, "🇷🇩", []),
        (FLAGS, "🇩🇪", [(2, 4)]),
        ("👍🏽 👍", "👍", [(3, 4)]),
        ("🎉🎉", "🎉", [(0, 1), (1, 2)]),
        ("🎉Obama🎉", "Obama", [(1, 6)]),
    ],
)
def test_occurrences_of_a_mention(text, mention, places):
    assert occurrences(text, mention) == places


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("习近平访问北京，习近平讲话", "习近平"),
        ("李克强：李克强在北京", "李克强"),
        ("安倍さんと安倍", "安倍"),
        ("トヨタは車を、トヨタ", "トヨタ"),
        ("ひろしとひろし、", "ひろし"),
        ("ｿﾆｰとｿﾆｰ", "ｿﾆｰ"),
        ("สมชายไปกรุงเทพ สมชาย", "สมชาย"),
        ("ລາວເປັນ ລາວ", "ລາວ"),
        ("កម្ពុជានិង កម្ពុជា", "កម្ពុជា"),
        ("မြန်မာနိုင်ငံ မြန်မာ", "မြန်မာ"),
        ("བོད་ཡིག བོད", "བོད"),
        ("오바마는 오바마", "오바마"),  # with and without a particle
        ("서울에서 서울", "서울"),
        ("Acme社とAcme", "Acme"),  # Latin in Japanese
        ("Obama는 Obama", "Obama"),
        ("2020年, 2020", "2020"),
        ("東京_2020 東京", "東京"),
    ],
)
def test_every_occurrence_counts_in_scripts_without_spaces(text, mention):
    first, second = occurrences(text, mention)
    assert text[slice(*first)] == text[slice(*second)] == mention
    assert first < second


@pytest.mark.parametrize(
    "name", ["José", "Nguyễn", "Ångström", "Zoë", "Łódź", "서울", "がぎぐ", "Йод", "ยำ", "Ω", "שִׁ", "क़"]
)
def test_canonically_equivalent_spellings_match(name):
    for text_form in ("NFC", "NFD"):
        for form in ("NFC", "NFD"):
            written = unicodedata.normalize(text_form, name)
            text = f"x {written}, met {written} y"
            places = occurrences(text, unicodedata.normalize(form, name))
            assert [text[slice(*place)] for place in places] == [written, written]
    both = f"{unicodedata.normalize('NFC', name)} – {unicodedata.normalize('NFD', name)}"
    assert len(occurrences(both, name)) == 2


def test_canonical_equivalents_of_ascii_letters_match():
    assert occurrences("300 K", "\u212a") == [(4, 5)]  # the kelvin sign is equivalent to K
    assert occurrences("300 \u212a", "K") == [(4, 5)]


@pytest.mark.parametrize(
    ("text", "mention", "hint"),
    [
        ("acme corp", "Acme", r"The text has 'acme' at [0, 4), which differs in case."),
        ("İstanbul'da", "i\u0307stanbul", "differs in case"),
        ("see ﬁat", "fiat", r"The text has 'ﬁat' at [4, 7), which differs in compatibility characters"),
        ("ＡＣＭＥ", "ACME", "compatibility characters"),
        ("José", "Jose", r"The text has 'José' at [0, 4), which differs in accents"),
        ("Jose\u0301", "Jose", "at [0, 5), which differs in accents"),
        ("Barack  Obama", "Barack Obama", "white space or invisible characters"),
        ("Barack\xa0Obama", "Barack Obama", "white space or invisible characters"),
        ("Oba\u00adma", "Obama", "white space or invisible characters"),
        ("Biden’s", "Biden's", "quotes or dashes"),
        ("JOSÉ", "jose", "case, accents, or the spelling"),
        ("JFK", "Obama", None),
    ],
)
def test_the_most_similar_string_is_named(text, mention, hint):
    assert occurrences(text, mention) == []
    actual = near_miss(text, mention)
    assert actual is None if hint is None else hint in actual


def test_a_mention_that_no_folding_fits_into_the_text_is_not_folded(monkeypatch):
    folded = []
    monkeypatch.setattr("tgdi_hf.processing.mention_search.characters", lambda text: folded.append(text) or [])
    assert near_miss("Ann", "N" * 55) is None and occurrences("e\u0301", "N" * 55) == []
    assert folded == []
    near_miss("Ann", "N" * 54)
    assert folded


def test_one_character_may_stand_for_eighteen():
    name = unicodedata.normalize("NFKC", "\ufdfa")
    assert len(name) == 18 and "'\ufdfa' at [0, 1)" in near_miss("\ufdfa", name)
