"""The models by name: a new one is one file and one line here."""

MODELS: dict[str, str] = {
    "vanilla": "gradprobe.models.vanilla:Vanilla",
    "feedback": "gradprobe.models.feedback:Feedback",
    "lstm": "gradprobe.models.lstm:Lstm",
    "gru": "gradprobe.models.gru:Gru",
    "antisymmetric": "gradprobe.models.antisymmetric:Antisymmetric",
    "gated_antisymmetric": "gradprobe.models.gated:GatedAntisymmetric",
    "gated_unstructured": "gradprobe.models.gated:GatedUnstructured",
    "orthogonal": "gradprobe.models.orthogonal:Orthogonal",
}
"""The cell class of every model, as ``"module:class"``."""
