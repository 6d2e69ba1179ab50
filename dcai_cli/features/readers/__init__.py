"""Files to rows of strings: csv, tsv, jsonl, text, parquet and arrow, packed or not, one row at a time.

Every cell is a string; types come from the feature spec. `sources` finds what was named, `compression` and
`encodings` make text of its bytes, `formats` and `tables` make rows of those. Nothing holds more than a part
of a file, so it may be larger than memory.

Csv is read by one strict reader that refuses what lenient ones pad, drop or guess; that `datasets` reads the
same cells from what it lets through is held by tests. The library itself serves where it is needed, for data
sets on the Hugging Face Hub: for a local file it costs a second to import, copies what it reads into a cache,
and expands `*` and `[` in names.
"""

from dcai_cli.features.readers.cells import json_cells
from dcai_cli.features.readers.sources import FORMATS, RowSource, Source, check_source, open_rows, read_rows

__all__ = ["FORMATS", "RowSource", "Source", "check_source", "json_cells", "open_rows", "read_rows"]
