//! Remote write 1.0: labels are strings inside each series, metadata are entries of their own.

use super::message;
use super::model::{Exemplar, Metadata, Series};
use super::writer::Writer;

/// Writes a whole `prometheus.WriteRequest`.
pub(super) fn write(writer: &mut Writer, series: &[Series], metadata: &[Metadata]) {
    for one in series {
        writer.nested(1, |writer| write_series(writer, one));
    }
    for one in metadata {
        writer.nested(3, |writer| write_metadata(writer, one));
    }
}

fn write_series(writer: &mut Writer, series: &Series) {
    labels(writer, &series.labels);
    for sample in &series.samples {
        message::sample(writer, 2, *sample);
    }
    for one in &series.exemplars {
        writer.nested(3, |writer| exemplar(writer, one));
    }
    for histogram in &series.histograms {
        message::histogram(writer, 4, histogram);
    }
}

fn labels(writer: &mut Writer, labels: &[(String, String)]) {
    for (name, value) in labels {
        writer.nested(1, |writer| {
            writer.text(1, name);
            writer.text(2, value);
        });
    }
}

fn exemplar(writer: &mut Writer, exemplar: &Exemplar) {
    labels(writer, &exemplar.labels);
    writer.double(2, exemplar.value);
    writer.int64(3, exemplar.timestamp_ms);
}

fn write_metadata(writer: &mut Writer, metadata: &Metadata) {
    writer.int64(1, metadata.about.kind as i64);
    writer.text(2, &metadata.family);
    writer.text(4, &metadata.about.help);
    writer.text(5, &metadata.about.unit);
}
