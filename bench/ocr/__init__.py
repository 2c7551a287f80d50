"""An independent judge of the OCR engine: cards drawn from the facts of the permit, and a comparison on them.

The judge shares no code, no font, no layout table and no check digit with hmt_pass/endpoint: a mistake that generator
and reader had in common would not show. It takes from there the seven fields' names (`Permit`) and the table of
readings, which is Unicode's. Layers, upper to lower: compare > table, soak > trial > child > engines > judge > camera,
face, scenes > prints, permits, names > fonts, levels.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # RapidOCR's runtime is ours: it reports nothing to anybody
