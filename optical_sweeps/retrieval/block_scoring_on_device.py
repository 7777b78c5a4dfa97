"""MaxSim of one block of documents with tiles of queries on a GPU: a product, then a maximum per segment."""

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from optical_sweeps.retrieval.block_scoring import Block, QueryTile
from optical_sweeps.retrieval.ranking_keys import Best, keys


@torch.inference_mode()
def score_block_on(
    device: str, block: Block, vectors: Shaped[Tensor, "T d"], tiles: list[QueryTile], best: list[Best]
) -> None:
    """Merge the scores of one block into the best keys of every tile, all on `device`.

    Float16 and int8 are transferred as they are and converted on the device.
    """
    start, end = int(block.offsets[0]), int(block.offsets[-1])
    counts = np.diff(block.offsets)
    present = counts > 0
    if not present.any():
        return
    rows = vectors[start:end].to(device).float()
    if block.shard.scales is not None:
        rows *= torch.from_numpy(np.array(block.shard.scales[start:end])).to(device)[:, None]
    lengths = torch.from_numpy(counts[present]).to(device)
    ranks = torch.from_numpy(block.id_ranks[present]).to(device)
    for tile, tile_best in zip(tiles, best, strict=True):
        query_lengths = torch.from_numpy(np.diff(tile.offsets)).to(device)
        product = rows @ tile.vectors[: tile.offsets[-1]].to(device).T
        # One thread reduces a segment from its first row to its last, so the result is deterministic.
        maxima = torch.segment_reduce(product, "max", lengths=lengths, axis=0)
        scores = torch.segment_reduce(maxima.T.contiguous(), "sum", lengths=query_lengths, axis=0)
        tile_best.merge(keys(scores, ranks))
