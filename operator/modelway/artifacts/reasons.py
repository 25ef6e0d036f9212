"""The words with which a container of ours says why it gave up.

Every failure of `modelway fetch` and `modelway serve` carries one of these. It stands in the termination message, from
which the operator copies it into `status.failure.reason` and the metric's label, so a value never changes its meaning
and is never reused. A reason names the cause as a user would look for it, not the code that found it.
"""

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """Why a model could not be fetched or served. Each value is CamelCase, as a condition's reason must be."""

    # Fetching: what the user wrote.
    INVALID_URI = "InvalidURI"
    """The URI cannot be read: no bucket, no path, credentials in it, a character that has no place there."""
    UNSUPPORTED_SCHEME = "UnsupportedScheme"
    """The URI's scheme is none of file, pvc, https, s3."""
    NOT_MOUNTED = "NotMounted"
    """A `pvc://` URI, but the claim's volume is not where the model is expected."""
    TARGET_NOT_EMPTY = "TargetNotEmpty"
    """The target folder holds files that `modelway fetch` did not put there and must not mix with a model."""

    # Fetching: what the other side answered.
    BUCKET_NOT_FOUND = "BucketNotFound"
    """The store knows no bucket of this name."""
    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    """The bucket, host or volume is there; the file or folder is not, or holds no file."""
    ACCESS_DENIED = "AccessDenied"
    """The store or host refused the credentials, or they lack the right to read."""
    CREDENTIALS_MISSING = "CredentialsMissing"
    """The store asks for credentials and the environment has none."""
    WRONG_REGION = "WrongRegion"
    """The bucket lives in another region than AWS_REGION says."""
    CERTIFICATE_REFUSED = "CertificateRefused"
    """The server's certificate is not signed by an authority known here; CA_BUNDLE adds one."""
    DOWNLOAD_FAILED = "DownloadFailed"
    """The network or the other side failed, and went on failing over all retries."""
    TRUNCATED = "Truncated"
    """The file ends before the length that its server declares, over all retries."""
    CHANGED_WHILE_READING = "ChangedWhileReading"
    """The file was replaced at its source while it was being read, again and again."""

    # Fetching: what arrived.
    UNSAFE_PATH = "UnsafePath"
    """A key or link leads out of the model's folder, or a name cannot be listed without doubt."""
    DIGEST_MISMATCH = "DigestMismatch"
    """The bytes are not those that the digest pins."""
    STORAGE_FULL = "StorageFull"
    """The volume that the model is written to has no room for it."""
    STORAGE_UNWRITABLE = "StorageUnwritable"
    """The folder that the model is written to, or read from, cannot be opened."""

    # Serving.
    MODEL_NOT_FOUND = "ModelNotFound"
    """The model folder is missing or holds no model file."""
    METADATA_INVALID = "MetadataInvalid"
    """`modelway.json` cannot be read, has an unknown field, or contradicts the model."""
    FORMAT_UNKNOWN = "FormatUnknown"
    """Neither `--format` nor `modelway.json` nor the file's suffix names a format that is known here."""
    FORMAT_AMBIGUOUS = "FormatAmbiguous"
    """Several files could be the model."""
    CODE_REFUSED = "CodeRefused"
    """The format can run code when it is loaded, and the policy is `code: Refuse`."""
    FORBIDDEN_GLOBAL = "ForbiddenGlobal"
    """The pickle asks for a class or function that is not on the allow-list."""
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    """The format's own library could not load the file."""
    GOLDEN_REQUEST_FAILED = "GoldenRequestFailed"
    """The loaded model did not answer a request of `modelway.json` as recorded there."""
    CONVERSION_FAILED = "ConversionFailed"
    """The model has no ONNX form, or no converter for it is installed here."""
    PARITY_FAILED = "ParityFailed"
    """The converted model answers otherwise than the one that it was made from."""
    ROWS_INVALID = "RowsInvalid"
    """Sample rows cannot be read, or are not what the model takes."""
    FEEDBACK_KEYS_INVALID = "FeedbackKeysInvalid"
    """The keys that sign prediction ids cannot be read."""
    LISTEN_FAILED = "ListenFailed"
    """The port could not be opened."""

    # Both.
    INTERNAL_ERROR = "InternalError"
    """A fault of modelway's own; please report it with the log."""
