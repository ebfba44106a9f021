"""Pairs of names in LFW's development half that are not two unrelated people, found among the most similar pairs.

``SAME``: both images show one person, because the person has two names or a label is wrong. ``SIBLINGS``: two people
of one family. Calibrations count both as impostor pairs, which overstates the FAR; ``accuracy.py`` reports by how much.
"""

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
