//! The bodies of one worker's pushes: always the same series, each time with later samples.

use bytes::Bytes;
use remote_write::Protocol;
use remote_write::encode::{EncodeError, Encoder, Series};

use crate::args::LoadArgs;

/// Builds the pushes of one worker.
///
/// Workers share no series, and the times of a series strictly increase, so that a server accepts all samples as in order. Above
/// 1,000 samples per second and series the times run ahead of the clock.
#[derive(Debug)]
pub(crate) struct Payload {
    protocol: Protocol,
    encoder: Encoder,
    series: Vec<Series>,
    samples_per_series: u32,
    /// Time of the newest sample, milliseconds since 1970.
    newest: i64,
}

impl Payload {
    pub(crate) fn new(args: &LoadArgs, worker: u32) -> Self {
        let series = (0..args.series).map(|number| series(&args.job, worker, number)).collect();
        Self {
            protocol: args.protocol,
            encoder: Encoder::new(),
            series,
            samples_per_series: args.samples_per_series,
            newest: i64::MIN,
        }
    }

    /// The next push, snappy compressed; its newest samples have the time `now` (milliseconds since 1970), or later if earlier
    /// pushes have used that.
    ///
    /// # Errors
    /// Only for a push of 4 GiB or more.
    pub(crate) fn next(&mut self, now: i64) -> Result<Bytes, EncodeError> {
        let count = i64::from(self.samples_per_series);
        let first = now.saturating_sub(count - 1).max(self.newest.saturating_add(1));
        self.newest = first.saturating_add(count - 1);
        for series in &mut self.series {
            series.samples.clear();
            series.samples.extend((first..=self.newest).map(|time| ((time % 1000) as f64, time)));
        }
        Ok(Bytes::copy_from_slice(self.encoder.encode(self.protocol, &self.series, &[])?))
    }
}

fn series(job: &str, worker: u32, number: u32) -> Series {
    // Sorted by name, as remote write asks for.
    let labels = [
        ("__name__", "edgectl_load".to_owned()),
        ("job", job.to_owned()),
        ("series", number.to_string()),
        ("worker", worker.to_string()),
    ];
    Series { labels: labels.map(|(name, value)| (name.to_owned(), value)).into(), ..Series::default() }
}

#[cfg(test)]
mod tests;
