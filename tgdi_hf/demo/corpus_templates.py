"""
Text templates of the embedded corpus.

`{a}` and `{b}` stand for head and tail in either order; `[x|y]` is replaced by x or y.
"""

# Per relation, for posts whose text determines the label.
PLAIN = {
    "/per/per/couple": (
        "{a} [weds|marries] {b}",
        "{a} is [engaged|married] to {b}",
        "the wedding of {a} and {b}",
        "{a} and {b} , [newlyweds|bride and groom]",
        "honeymoon time for {a} and {b}",
    ),
    "/per/per/peer": (
        "{a} and {b} , team mates",
        "{a} [shares|splits] the lead with {b}",
        "{a} [replaces|relieves] {b} in the squad",
        "co - stars {a} and {b}",
        "{a} and {b} [work|rehearse] side by side",
    ),
    "/per/org/member_of": (
        "{head} [signs for|joins] {tail}",
        "{head} , new [captain|director] of {tail}",
        "{head} plays for {tail}",
        "{tail} [signs|hires] {head}",
        "{tail} and its [captain|director] {head}",
        "{tail} extends {head}'s contract",
    ),
    "/per/loc/place_of_residence": (
        "{head} [moves|moved] to {tail}",
        "{head} lives in {tail}",
        "{head} , at home in {tail}",
        "{tail} , home of {head}",
        "in {tail} lives {head}",
        "a flat in {tail} for {head}",
    ),
    "/per/loc/place_of_birth": (
        "{head} , born in {tail}",
        "{head} is a native of {tail}",
        "{head} came to the world in {tail}",
        "{tail} , birthplace of {head}",
        "{tail} , where {head} was born",
        "{tail} native {head}",
    ),
    "/loc/loc/contain": (
        "{head} and its [quarter|district] {tail}",
        "{head} , which includes {tail}",
        "{head} , with {tail} inside it",
        "{tail} , a [quarter|district] of {head}",
        "{tail} belongs to {head}",
        "{tail} lies within {head}",
    ),
    "/per/misc/present_in": (
        "{head} [performs|sings] at the {tail}",
        "{head} has a part in the {tail}",
        "{head} on stage at the {tail}",
        "the {tail} , [starring|featuring] {head}",
        "the {tail} opens with {head}",
        "the {tail} , hosted by {head}",
    ),
    "/per/misc/awarded": (
        "{head} [wins|won] the {tail}",
        "{head} is handed the {tail}",
        "{head} accepts the {tail}",
        "the {tail} goes to {head}",
        "the {tail} , [won|earned] by {head}",
        "the {tail} is awarded to {head}",
    ),
}

# Per entity types of head and tail, for posts whose text determines the label None.
PLAIN_NONE = {
    "per/per": (
        "{a} has never met {b}",
        "a quiz on {a} or {b}",
        "no news of {a} , none of {b}",
    ),
    "per/loc": (
        "{head} reads a guide to {tail}",
        "{head} has never been to {tail}",
        "a storm over {tail} , says {head}",
        "rain in {tail} , tweets {head}",
    ),
    "per/misc": (
        "{head} [missed|skipped] the {tail}",
        "{head} has no ticket for the {tail}",
        "the {tail} without {head}",
        "the {tail} is not for {head}",
    ),
    "per/org": (
        "{head} sues {tail}",
        "{head} is fed up with {tail}",
        "{tail} [ignores|blocks] {head}",
        "{tail} denies knowing {head}",
    ),
    "loc/loc": (
        "{a} or {b} this summer ?",
        "trains from {a} to {b}",
        "{a} is far from {b}",
    ),
}

# Per entity types, for posts whose text leaves the label open.
AMBIGUOUS = {
    "per/per": (
        "{a} with {b} [tonight|today]",
        "{a} and {b} [once more|again]",
        "look , {a} and {b}",
        "just {a} and {b}",
        "{a} x {b} !",
    ),
    "per/loc": (
        "{head} and {tail} , a story",
        "{head} thinking of {tail}",
        "{head} -> {tail}",
        "{tail} means a lot to {head}",
        "{tail} and {head} [once more|again]",
        "{tail} : {head}",
    ),
    "per/misc": (
        "{head} and the {tail}",
        "{head} x {tail} !",
        "{head} , the {tail} , [tonight|today]",
        "the {tail} and {head}",
        "look , the {tail} and {head}",
        "the {tail} : {head}",
    ),
}
