use std::io;

use super::*;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` writes with these settings; it may change them through the handle.
fn logged(filter: &str, format: LogFormat, log: impl FnOnce(&LogHandle)) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let settings = LogSettings { filter: filter.parse().unwrap(), format };
    let (subscriber, logs) = logs_to(writer, &settings).unwrap();
    tracing::subscriber::with_default(subscriber, || log(&logs.handle));
    drop(logs);
    lines.take()
}

#[test]
fn takes_levels_and_filters_and_nothing_that_would_silence_everything() {
    let long = format!("info,{}=debug", "a".repeat(MAX_FILTER_BYTES));
    for good in ["info", "WARN", "off", "info,rls=debug", "rls=trace"] {
        assert!(good.parse::<LogFilter>().is_ok(), "{good}");
    }
    for bad in ["", "verbose", "rls", "nonsense=[", "rls=loud", &long] {
        assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
    }
}

#[test]
fn noisy_libraries_log_only_if_the_filter_names_them() {
    let log = |_: &LogHandle| {
        tracing::error!(target: "kube_client::client::builder", "failed with error");
        tracing::warn!(target: "kube_runtime::watcher", "watch list error");
        tracing::info!(target: "limits_source", "ours");
    };
    let lines = |filter: &str| logged(filter, LogFormat::Text, log).lines().count();
    assert_eq!((lines("info"), lines("debug"), lines("info,kube_client=error")), (1, 1, 2));
    assert_eq!(lines("info,kube_client=error,kube_runtime=warn"), 3);
}

#[test]
fn a_format_is_text_or_json() {
    for (name, format) in [("text", LogFormat::Text), ("json", LogFormat::Json)] {
        assert_eq!(LogFormat::from_str(name, false), Ok(format));
    }
    assert!(LogFormat::from_str("yaml", false).is_err());
    assert_eq!(LogFormat::value_variants().len(), 2);
}

#[test]
fn a_text_line_has_all_fields_and_escapes_line_breaks() {
    let text = logged("info", LogFormat::Text, |_| {
        tracing::warn!(target: "edge::test", tenant = "a\nb", samples = 3, "push denied");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.ends_with(" WARN edge::test: push denied tenant=\"a\\nb\" samples=3\n"), "{text}");
}

#[test]
fn a_json_line_is_one_object_with_top_level_fields() {
    let text = logged("info", LogFormat::Json, |_| {
        tracing::warn!(target: "edge::test", tenant = "a\nb", samples = 3, "push denied");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(r#"{"timestamp":"2"#), "{text}");
    for part in [
        r#""level":"WARN""#,
        r#""target":"edge::test""#,
        r#""message":"push denied""#,
        r#""tenant":"a\nb""#,
        r#""samples":3"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn clones_of_the_handle_change_the_filter_while_logging() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged("info", format, |handle| {
            tracing::debug!("one");
            let debug: LogFilter = "info,runtime=debug".parse().unwrap();
            handle.clone().set(&debug).unwrap();
            assert_eq!(handle.current(), debug);
            tracing::debug!("two");
            handle.set(&"off".parse().unwrap()).unwrap();
            tracing::error!("three");
            assert_eq!(handle.current().to_string(), "off");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("two"), "{text}");
    }
}

#[test]
fn a_handle_on_logs_that_are_gone_says_so() {
    let settings = LogSettings { filter: "info".parse().unwrap(), format: LogFormat::Text };
    let (subscriber, logs) = logs_to(io::sink(), &settings).unwrap();
    drop(subscriber);
    assert!(logs.handle.set(&"debug".parse().unwrap()).is_err());
    assert_eq!(logs.handle.current().to_string(), "info");
}

/// Takes nothing until it is let go.
struct Stalled(Arc<Mutex<()>>);

impl io::Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.0.lock());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_stopped_costs_lines_and_no_waiting() {
    let gate = Arc::new(Mutex::new(()));
    let settings = LogSettings { filter: "info".parse().unwrap(), format: LogFormat::Text };
    let (subscriber, logs) = logs_to(Stalled(Arc::clone(&gate)), &settings).unwrap();
    let stopped = gate.lock().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for line in 0..QUEUED_LINES + 10 {
            tracing::info!(line, "an unread line");
        }
    });
    // One line may be in the writer's hands.
    assert!((9..=10).contains(&logs.handle.dropped_lines()), "{}", logs.handle.dropped_lines());
    drop(stopped);
}
