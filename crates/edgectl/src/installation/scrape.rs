//! The metrics of a program, as Prometheus reads them.

/// A page of metrics in the text format.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn new(page: String) -> Self {
        Self(page)
    }

    /// The series of this name: their labels, without braces, and their values.
    pub(super) fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                // A label's value may contain a brace.
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.trim().parse().ok()?))
        })
    }

    /// The first series of this name.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.all(name).next().map(|(_, value)| value)
    }

    /// The first series of this name with this label, such as `of="grpc"`.
    pub(super) fn labelled(&self, name: &str, label: &str) -> Option<f64> {
        self.all(name).find(|(labels, _)| labels.split(',').any(|part| part == label)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_label() {
        let page = "# HELP a A.\n# TYPE a gauge\na 1.5\nab 2\na_b{x=\"1\",y=\"}\"} 3\na_b{x=\"2\"} +Inf\n";
        let metrics = Metrics::new(page.to_owned());
        assert_eq!((metrics.value("a"), metrics.value("ab"), metrics.value("b")), (Some(1.5), Some(2.0), None));
        assert_eq!(metrics.labelled("a_b", "x=\"2\""), Some(f64::INFINITY));
        assert_eq!(metrics.all("a_b").collect::<Vec<_>>(), [("x=\"1\",y=\"}\"", 3.0), ("x=\"2\"", f64::INFINITY)]);
    }
}
