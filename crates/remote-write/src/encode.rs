//! Builds pushes, for clients and tests: plain structs in, a compressed body out.
//!
//! It writes the fields that Prometheus sends, in the same order (symbols before the series that use them, packed scalars,
//! defaults omitted), and validates nothing, so that tests can build pushes that Mimir rejects.

use thiserror::Error;

use crate::Protocol;

mod message;
mod model;
mod symbols;
mod v1;
mod v2;
mod writer;

pub use model::{Buckets, Count, Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata};

use symbols::SymbolTable;
use writer::Writer;

/// `Content-Type` of a remote write 1.0 push.
pub const CONTENT_TYPE_V1: &str = "application/x-protobuf";
/// `Content-Type` of a remote write 2.0 push.
pub const CONTENT_TYPE_V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
/// `X-Prometheus-Remote-Write-Version` of a remote write 1.0 push, as Prometheus sends it.
pub const VERSION_V1: &str = "0.1.0";
/// `X-Prometheus-Remote-Write-Version` of a remote write 2.0 push, as Prometheus sends it.
pub const VERSION_V2: &str = "2.0.0";
/// `Content-Encoding` of every push. Mimir does not look at it; other receivers do.
pub const CONTENT_ENCODING: &str = "snappy";

/// The `Content-Type` that goes with `protocol`.
pub fn content_type_header(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V1 => CONTENT_TYPE_V1,
        Protocol::V2 => CONTENT_TYPE_V2,
    }
}

/// The `X-Prometheus-Remote-Write-Version` that goes with `protocol`.
pub fn version_header(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V1 => VERSION_V1,
        Protocol::V2 => VERSION_V2,
    }
}

/// A push that snappy's block format cannot hold: it is over 4 GiB - 1.
#[derive(Debug, Error)]
#[error("cannot compress a push of {bytes} bytes")]
pub struct EncodeError {
    /// Size of the push before compression.
    pub bytes: usize,
    /// The compressor's error.
    pub source: snap::Error,
}

/// One push, compressed; for many of them keep an [`Encoder`].
///
/// # Errors
/// Only for a push of 4 GiB or more; see [`EncodeError`].
pub fn encode_push(protocol: Protocol, series: &[Series], metadata: &[Metadata]) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new();
    let written = encoder.encode(protocol, series, metadata)?.len();
    encoder.compressed.truncate(written);
    Ok(encoder.compressed)
}

/// Builds pushes one after the other in the same buffers.
#[derive(Debug)]
pub struct Encoder {
    plain: Writer,
    /// The series of a 2.0 push, written before the symbols in front of them are known.
    series: Writer,
    symbols: SymbolTable,
    /// As long as the largest push; begins with the latest one.
    compressed: Vec<u8>,
    snappy: snap::raw::Encoder,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with empty buffers.
    pub fn new() -> Self {
        Self {
            plain: Writer::default(),
            series: Writer::default(),
            symbols: SymbolTable::default(),
            compressed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
        }
    }

    /// One push, compressed, valid until the next call.
    ///
    /// In 1.0 `metadata` are entries of the push, and the metadata of series is omitted. In 2.0, which has no such entries, each
    /// element of `metadata` is a series with only a name.
    ///
    /// # Errors
    /// Only for a push of 4 GiB or more; see [`EncodeError`].
    pub fn encode(
        &mut self,
        protocol: Protocol,
        series: &[Series],
        metadata: &[Metadata],
    ) -> Result<&[u8], EncodeError> {
        self.write_plain(protocol, series, metadata);
        let plain = self.plain.as_slice();
        let bound = snap::raw::max_compress_len(plain.len());
        if self.compressed.len() < bound {
            self.compressed.resize(bound, 0);
        }
        let written = self
            .snappy
            .compress(plain, &mut self.compressed)
            .map_err(|source| EncodeError { bytes: plain.len(), source })?;
        Ok(self.compressed.get(..written).unwrap_or_default())
    }

    /// One push as bare protobuf, before compression, valid until the next call.
    pub fn encode_plain(&mut self, protocol: Protocol, series: &[Series], metadata: &[Metadata]) -> &[u8] {
        self.write_plain(protocol, series, metadata);
        self.plain.as_slice()
    }

    fn write_plain(&mut self, protocol: Protocol, series: &[Series], metadata: &[Metadata]) {
        self.plain.clear();
        match protocol {
            Protocol::V1 => v1::write(&mut self.plain, series, metadata),
            Protocol::V2 => {
                self.series.clear();
                self.symbols.clear();
                v2::write_series(&mut self.series, &mut self.symbols, series, metadata);
                self.plain.append(self.symbols.as_slice());
                self.plain.append(self.series.as_slice());
            }
        }
    }
}

#[cfg(test)]
mod tests;
