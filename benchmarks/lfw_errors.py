"""Pairs of names in LFW's development half that are not two strangers, found by looking at the most alike pairs.

``SAME``: both pictures show one person, because a person has two names, a picture has the wrong one, or one of several
faces is taken in both. ``SIBLINGS``: two people who look alike by nature. Calibrations count them all as strangers,
which is on the safe side; ``accuracy.py`` says what that does to the FAR.
"""

from __future__ import annotations

SAME = (
    ("Aldo_Paredes", "Sebastian_Saja"),
    ("Alejandro_Avila", "Philip_Zalewski"),
    ("Charles_Moose", "Doug_Duncan"),
    ("Diana_Taurasi", "Shavon_Earp"),
    ("Doc_Rivers", "Glenn_Rivers"),
    ("Jason_Kapono", "Ray_Young"),
    ("Joseph_Blatter", "Sepp_Blatter"),
    ("Kate_Capshaw", "Steven_Spielberg"),
    ("Ruano_Pascual", "Virgina_Ruano_Pascal"),
)
SIBLINGS = (
    ("Carolina_Moraes", "Isabela_Moraes"),
    ("Odai_Hussein", "Uday_Hussein"),
    ("Tamara_Mowry", "Tia_Mowry"),
)
