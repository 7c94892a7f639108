//! What the walkers of both protocols tell of a push, in the order in which it stands there.

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::histogram::Histogram;
use crate::wire::Cursor;
use crate::work::Work;

/// Is told what a push holds. The parts of a series come in any order between its begin and its end.
pub(crate) trait Visitor<'a> {
    /// Whether exemplars are to be read; if not, they are passed over as Mimir does, whatever is in them.
    fn reads_exemplars(&self) -> bool;

    /// Whether a text may be the value of a label; of a 2.0 symbol it is asked once.
    fn is_label_value(&self, text: &[u8]) -> bool;

    /// What the push may still make its reader do.
    fn work(&mut self) -> &mut Work;

    fn begin_series(&mut self);

    /// A label as sent, and what [`Visitor::is_label_value`] said of its value.
    fn label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool);

    /// A sample of this time, in Unix milliseconds.
    fn sample(&mut self, time: i64);

    /// A histogram, and what it was read from.
    fn histogram(&mut self, histogram: Histogram, message: Cursor<'_>) -> Result<(), ProtobufError>;

    fn exemplar(&mut self, exemplar: Exemplar);

    /// Metadata of a family whose name and unit have so many bytes.
    fn metadata(&mut self, name: usize, unit: usize);

    /// The end of the series that `message` holds.
    fn end_series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError>;
}
