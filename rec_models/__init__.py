"""whyrec's recommenders: what learns. The only floor that imports torch at module level.

How the pieces are used (import each from its own module):

    from rec_models.fit import fit, FitSettings, FitReport
    from rec_models.rank import rank
    from rec_models.sequential.sasrec import SASRec, SASRecSettings
    from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings
    from rec_models.collaborative.popularity import Popularity
    from rec_models.collaborative.itemcf import ItemCF
    from rec_models.sequential.text_init import encode_and_map
    from rec_models import presets                      # the settings chosen on validation, by name
    from rec_models.progress import EpochBar            # on_epoch=bar draws a progress bar

    model = SASRec(corpus.n_items, SASRecSettings(width=64), item_vectors=None, user_vectors=None, n_users=0, seed=1)
    report = fit(model, corpus, settings=FitSettings(), seed=1, folder=Path("fits/a"), on_epoch=print)
    rankings = rank(model, SplitView(corpus, "test"), mask_seen=True, top=10)     # list[Ranking], order of view.users

    rank(Popularity(SplitView(corpus, "valid")), view)      # the same call for the untrained models,
    rank(ItemCF(SplitView(corpus, "valid")), view)          # fitted on view.sequences()

- `fit(model, corpus_or_view, *, settings, seed=0, folder=None, on_epoch=None) -> FitReport`. Trains on
  `view.sequences()`, stops on the validation NDCG@10 by full ranking, leaves the best weights in `model`. With a
  `folder` it writes a checkpoint per epoch, and the same call goes on from there (or returns at once when it had
  ended). `report.best_epoch`, `.epochs`, `.valid_ndcg`, `.valid_recall`, `.seconds` (CPU), `.rows` (one per epoch).
- `rank(model, view, *, candidates=None, mask_seen=True, top=10, batch=512) -> list[Ranking]`. `candidates`: integer
  array [users, C] of item indices that hold the target exactly once, aligned with `view.users` (or an object with
  such an array in `.items`).
- `SASRec(..., item_vectors: float32 [I, width] | None, user_vectors: float32 [U, width] | None, n_users=U)`;
  `SASRecSettings.user_token` is "none", "random" or "given". `BERT4Rec` takes the same arguments.
- `encode_and_map(vectors_ND, width, method="pca"|"truncate"|"random", norm=..., fit_on=...) -> float32 [N, width]`
  (for users, `fit_on` the items' vectors);
  `norm_matched(vectors, seed=...)` gives the random control rows of the same norms.
"""
