"""What the two proxies are called where people see them, and what they are not."""

QUALITY_NAME = 'capture-quality index (published as "IQ")'
EXPRESSIVITY_NAME = 'expressivity index (published as "EQ")'
WARNINGS = {
    QUALITY_NAME: "its formula is made of sharpness and contrast of the picture and of the class"
    " that the picture is given; whether a network follows even these, its card says; it is not a"
    " measure of intelligence",
    EXPRESSIVITY_NAME: "its formula is made of the class that the picture is given, or of votes for"
    " classes, and of the valence and arousal that go with them; it is not a measure of emotional"
    " intelligence",
}
"""For each index what has to be said wherever its value is shown."""
