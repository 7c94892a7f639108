//! Remote write 2.0: every string is a reference into one table of symbols, metadata sits in its series.

use super::message;
use super::model::{Exemplar, Metadata, Series, SeriesMetadata};
use super::symbols::SymbolTable;
use super::writer::Writer;

/// Writes the series of an `io.prometheus.write.v2.Request` and gathers their symbols.
pub(super) fn write_series(writer: &mut Writer, symbols: &mut SymbolTable, series: &[Series], metadata: &[Metadata]) {
    for one in series {
        writer.nested(5, |writer| write_one(writer, symbols, one));
    }
    for one in metadata {
        writer.nested(5, |writer| {
            writer.nested(1, |writer| {
                writer.varint(symbols.reference("__name__"));
                writer.varint(symbols.reference(&one.family));
            });
            writer.nested(5, |writer| about(writer, symbols, &one.about));
        });
    }
}

fn write_one(writer: &mut Writer, symbols: &mut SymbolTable, series: &Series) {
    label_references(writer, symbols, &series.labels);
    for sample in &series.samples {
        message::sample(writer, 2, *sample);
    }
    for histogram in &series.histograms {
        message::histogram(writer, 3, histogram);
    }
    for one in &series.exemplars {
        writer.nested(4, |writer| exemplar(writer, symbols, one));
    }
    if let Some(metadata) = &series.metadata {
        writer.nested(5, |writer| about(writer, symbols, metadata));
    }
}

fn label_references(writer: &mut Writer, symbols: &mut SymbolTable, labels: &[(String, String)]) {
    if labels.is_empty() {
        return;
    }
    writer.nested(1, |writer| {
        for (name, value) in labels {
            writer.varint(symbols.reference(name));
            writer.varint(symbols.reference(value));
        }
    });
}

fn exemplar(writer: &mut Writer, symbols: &mut SymbolTable, exemplar: &Exemplar) {
    label_references(writer, symbols, &exemplar.labels);
    writer.double(2, exemplar.value);
    writer.int64(3, exemplar.timestamp_ms);
}

fn about(writer: &mut Writer, symbols: &mut SymbolTable, metadata: &SeriesMetadata) {
    writer.int64(1, metadata.kind as i64);
    writer.uint64(3, symbols.reference(&metadata.help));
    writer.uint64(4, symbols.reference(&metadata.unit));
}
