//! Why a body cannot be read. `Display` is the text of Mimir's 400 response, without the final newline.

use thiserror::Error;

/// Why a body is rejected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The claimed size is larger than the cap (`distributor.max_recv_msg_size` of Mimir).
    #[error(
        "the incoming push request has been rejected because its message size of {size} bytes (uncompressed) is larger \
         than the allowed limit of {limit} bytes (err-mimir-distributor-max-write-message-size). To adjust the related \
         limit, configure -distributor.max-recv-msg-size, or contact your service administrator."
    )]
    TooLarge {
        /// The claimed decompressed size, in bytes.
        size: u64,
        /// The cap, in bytes.
        limit: u64,
    },
    /// The body does not begin with a decompressed size of 32 bits.
    #[error("getting snappy decoded length: snappy: corrupt input")]
    SnappyLength,
    /// The body is no snappy block of the claimed size.
    #[error("decompress snappy: snappy: corrupt input")]
    SnappyData,
    /// The decompressed bytes are no push.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

limits::named_enum! {
    /// The kinds of [`BodyError`], for metrics.
    BodyErrorKind {
        /// Larger than the cap.
        TooLarge = "too_large",
        /// Broken compression.
        Snappy = "snappy",
        /// Broken or rejected protobuf.
        Protobuf = "protobuf",
    }
}

impl BodyError {
    /// The kind of the error.
    pub fn kind(&self) -> BodyErrorKind {
        match self {
            Self::TooLarge { .. } => BodyErrorKind::TooLarge,
            Self::SnappyLength | Self::SnappyData => BodyErrorKind::Snappy,
            Self::Protobuf(_) => BodyErrorKind::Protobuf,
        }
    }
}

/// Why the decompressed bytes are no push. Field and message names are those of Mimir's Go structs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtobufError {
    /// A value or message ends after the message that contains it.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// A number has more than 64 bits, or a key more than 32.
    #[error("proto: integer overflow")]
    IntegerOverflow,
    /// A known field has the wrong wire type.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WrongWireType {
        /// The wire type, 0 to 5.
        wire_type: u32,
        /// The Go name of the field.
        field: &'static str,
    },
    /// A key has the field number 0.
    #[error("proto: {message}: illegal tag 0 (wire type {wire_type})")]
    IllegalTag {
        /// The Go name of the message.
        message: &'static str,
        /// The wire type, 0 to 5.
        wire_type: u32,
    },
    /// A key has wire type 6 or 7, which do not exist.
    #[error("proto: illegal wireType {0}")]
    IllegalWireType(u32),
    /// The end of a group without its start.
    #[error("proto: unexpected end of group")]
    UnexpectedEndOfGroup,
    /// Groups are nested deeper than protobuf decoders allow.
    #[error("proto: groups are nested too deep")]
    NestedTooDeep,
    /// A 2.0 push holds 1.0 series.
    #[error("proto: Remote Write 1.0 field Timeseries in non-Remote Write 1.0 message")]
    TimeseriesOfV1,
    /// A 2.0 push holds 1.0 metadata.
    #[error("proto: Remote Write 1.0 field Metadata in non-Remote Write 1.0 message")]
    MetadataOfV1,
    /// A 1.0 push holds symbols.
    #[error("proto: Remote Write 2.0 field Symbols in non-Remote Write 2.0 message")]
    SymbolsOfV2,
    /// A 1.0 push holds 2.0 series.
    #[error("proto: Remote Write 2.0 field Timeseries in non-Remote Write 2.0 message")]
    TimeseriesOfV2,
    /// The first symbol of a 2.0 push is not empty.
    #[error("proto: Remote Write 2.0 symbols must start with empty string")]
    FirstSymbolNotEmpty,
    /// A series has a label name without a value.
    #[error("proto: Remote Write 2.0 odd number of label references")]
    OddLabelReferences,
    /// A label of a series refers to no symbol before it.
    #[error("proto: Remote Write 2.0 invalid label reference")]
    InvalidLabelReference,
    /// An exemplar has a label name without a value.
    #[error("proto: Remote Write 2.0 odd number of exemplar label references")]
    OddExemplarLabelReferences,
    /// A label of an exemplar refers to no symbol before it.
    #[error("proto: Remote Write 2.0 invalid exemplar label reference")]
    InvalidExemplarLabelReference,
    /// A help text refers to no symbol before it.
    #[error("proto: Remote Write 2.0 invalid help reference")]
    InvalidHelpReference,
    /// A unit refers to no symbol before it.
    #[error("proto: Remote Write 2.0 invalid unit reference")]
    InvalidUnitReference,
}
