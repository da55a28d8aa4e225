"""Named arrays in safetensors files: written whole, mapped without a copy, checked when read."""

from cgcython.tensors.arrays import ArrayForm as ArrayForm
from cgcython.tensors.arrays import require_arrays as require_arrays
from cgcython.tensors.blocks import BLOCKS as BLOCKS
from cgcython.tensors.blocks import Blocks as Blocks
from cgcython.tensors.blocks import block_checksums as block_checksums
from cgcython.tensors.damage import MALFORMED as MALFORMED
from cgcython.tensors.damage import Malformed as Malformed
from cgcython.tensors.damage import told_as_damage as told_as_damage
from cgcython.tensors.kinds import FileKind as FileKind
from cgcython.tensors.kinds import Opened as Opened
from cgcython.tensors.kinds import read_arrays as read_arrays
from cgcython.tensors.kinds import write_arrays as write_arrays
from cgcython.tensors.reading import Tensors as Tensors
from cgcython.tensors.reading import from_bytes as from_bytes
from cgcython.tensors.reading import give_back as give_back
from cgcython.tensors.reading import mapped_among as mapped_among
from cgcython.tensors.reading import open_regular as open_regular
from cgcython.tensors.reading import read_tensors as read_tensors
from cgcython.tensors.reading import require_whole as require_whole
from cgcython.tensors.writing import to_bytes as to_bytes
from cgcython.tensors.writing import write_tensors as write_tensors
