//! The callbacks of the decoders of both protocols, in the order of the push.

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::histogram::Histogram;
use crate::wire::Cursor;
use crate::work::Work;

/// Visits the content of a push. The fields of a series come in any order between its begin and its end.
pub(crate) trait Visitor<'a> {
    /// Whether exemplars are decoded; if not, they are skipped as in Mimir, valid or not.
    fn reads_exemplars(&self) -> bool;

    /// Whether the rest of the push is only read for its errors and numbers of samples; [`Visitor::label`] is not called any more.
    fn is_enough(&self) -> bool;

    /// Whether a text is a valid label value; asked once for a 2.0 symbol.
    fn is_label_value(&self, text: &[u8]) -> bool;

    /// The work budget of the push.
    fn work(&mut self) -> &mut Work;

    fn begin_series(&mut self);

    /// A label as sent, and the result of [`Visitor::is_label_value`].
    fn label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool);

    /// A sample of this time, in Unix milliseconds.
    fn sample(&mut self, time: i64);

    /// A histogram, and its encoded message.
    fn histogram(&mut self, histogram: Histogram, message: Cursor<'_>) -> Result<(), ProtobufError>;

    fn exemplar(&mut self, exemplar: Exemplar);

    /// Metadata of a family, with the lengths of its name and unit in bytes.
    fn metadata(&mut self, name: usize, unit: usize);

    /// The end of the series that `message` encodes.
    fn end_series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError>;
}
