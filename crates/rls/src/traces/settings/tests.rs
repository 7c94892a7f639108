use super::*;

/// From `NAME=VALUE` pairs, without the prefix `OTEL_`.
fn read(variables: &[&str]) -> anyhow::Result<Option<TraceSettings>> {
    let pairs = variables.iter().filter_map(|variable| variable.split_once('='));
    TraceSettings::read(pairs.map(|(name, value)| (format!("OTEL_{name}"), value.to_owned())).collect())
}

#[track_caller]
fn on(variables: &[&str]) -> TraceSettings {
    read(variables).unwrap().expect("traces are on")
}

const ENDPOINT: &str = "EXPORTER_OTLP_ENDPOINT=http://collector:4318";

#[test]
fn traces_are_off_without_an_endpoint_and_when_disabled() {
    for variables in [
        &[][..],
        &["SERVICE_NAME=edge", "TRACES_SAMPLER=always_on"],
        &["EXPORTER_OTLP_ENDPOINT="],
        &[ENDPOINT, "SDK_DISABLED=TRUE"],
        &[ENDPOINT, "TRACES_EXPORTER=none"],
        // What is off is not judged.
        &[ENDPOINT, "SDK_DISABLED=true", "TRACES_SAMPLER=jaeger_remote"],
    ] {
        assert!(read(variables).unwrap().is_none(), "{variables:?}");
    }
    assert!(read(&[ENDPOINT, "SDK_DISABLED=false", "TRACES_EXPORTER=otlp"]).unwrap().is_some());
}

#[test]
fn the_endpoint_of_traces_has_its_path_and_goes_first() {
    for (variables, transport, endpoint) in [
        (&[ENDPOINT][..], Transport::Http, "http://collector:4318/v1/traces"),
        (&["EXPORTER_OTLP_ENDPOINT=https://c/otlp/"], Transport::Http, "https://c/otlp/v1/traces"),
        (&[ENDPOINT, "EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1/x"], Transport::Http, "http://t:1/x"),
        (&[ENDPOINT, "EXPORTER_OTLP_PROTOCOL=grpc"], Transport::Grpc, "http://collector:4318/"),
        (
            &[ENDPOINT, "EXPORTER_OTLP_PROTOCOL=grpc", "EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"],
            Transport::Http,
            "http://collector:4318/v1/traces",
        ),
    ] {
        let settings = on(variables);
        assert_eq!(
            (settings.transport, settings.endpoint.to_string().as_str()),
            (transport, endpoint),
            "{variables:?}"
        );
    }
}

#[test]
fn sampler_timeout_and_service_are_those_of_the_variables() {
    let settings = on(&[ENDPOINT]);
    assert_eq!(format!("{:?}", settings.sampler), "ParentBased(AlwaysOn)");
    assert_eq!((settings.timeout, settings.service_name), (TIMEOUT, Some("mimir-rls")));
    for (sampler, expected) in [
        ("always_off", "AlwaysOff"),
        ("traceidratio", "TraceIdRatioBased(0.25)"),
        ("parentbased_traceidratio", "ParentBased(TraceIdRatioBased(0.25))"),
    ] {
        let settings = on(&[ENDPOINT, &format!("TRACES_SAMPLER={sampler}"), "TRACES_SAMPLER_ARG=0.25"]);
        assert_eq!(format!("{:?}", settings.sampler), expected);
    }
    let settings = on(&[ENDPOINT, "EXPORTER_OTLP_TIMEOUT=1", "EXPORTER_OTLP_TRACES_TIMEOUT=250", "SERVICE_NAME=edge"]);
    assert_eq!((settings.timeout, settings.service_name), (Duration::from_millis(250), None));
    assert_eq!(on(&[ENDPOINT, "RESOURCE_ATTRIBUTES=a=b,service.name=edge"]).service_name, None);
    assert_eq!(on(&[ENDPOINT, "RESOURCE_ATTRIBUTES=my.service.name=edge"]).service_name, Some("mimir-rls"));
}

#[track_caller]
fn assert_refused(variables: &[&str], expected: &str) {
    let error = read(variables).err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains(expected), "{variables:?}: {error}");
}

#[test]
fn a_bad_value_is_refused_with_what_is_right() {
    for (variable, expected) in [
        (
            "EXPORTER_OTLP_PROTOCOL=http/json",
            "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\"; mimir-rls has http/protobuf",
        ),
        ("TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER is \"zipkin\"; mimir-rls has otlp and none"),
        ("TRACES_SAMPLER=jaeger_remote", "OTEL_TRACES_SAMPLER is \"jaeger_remote\"; mimir-rls has always_on"),
        ("EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT is \"10s\"; it must be"),
        ("EXPORTER_OTLP_TRACES_TIMEOUT=0", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is \"0\"; it must be"),
        ("EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_COMPRESSION is \"gzip\"; mimir-rls exports without"),
        ("SDK_DISABLED=1", "OTEL_SDK_DISABLED is \"1\"; it must be true or false"),
        ("PROPAGATORS=b3", "OTEL_PROPAGATORS is \"b3\"; mimir-rls has tracecontext"),
        ("EXPORTER_OTLP_HEADERS=api-key:secret", "OTEL_EXPORTER_OTLP_HEADERS is no list of headers such as"),
        ("RESOURCE_ATTRIBUTES=prod", "OTEL_RESOURCE_ATTRIBUTES is \"prod\"; it must be a list"),
    ] {
        assert_refused(&[ENDPOINT, variable], expected);
    }
    assert_refused(&["EXPORTER_OTLP_ENDPOINT=collector:4317"], "OTEL_EXPORTER_OTLP_ENDPOINT: ");
    assert_refused(&["EXPORTER_OTLP_ENDPOINT=https://c", "EXPORTER_OTLP_PROTOCOL=grpc"], "by http/protobuf only");
    let ratio = [ENDPOINT, "TRACES_SAMPLER=traceidratio", "TRACES_SAMPLER_ARG=2"];
    assert_refused(&ratio, "OTEL_TRACES_SAMPLER_ARG is \"2\"; it must be");
}

#[test]
fn an_unknown_setting_of_traces_is_refused() {
    // With a typo in its name there is no receiver, and traces would be off without a word.
    assert_refused(&["EXPORTER_OTLP_ENPOINT=http://c"], "mimir-rls does not have OTEL_EXPORTER_OTLP_ENPOINT; unset it");
    for name in ["BSP_MAX_QUEUE_SIZE", "SPAN_EVENT_COUNT_LIMIT", "TRACES_SAMPLING"] {
        assert_refused(&[ENDPOINT, &format!("{name}=1")], &format!("does not have OTEL_{name}; unset it"));
    }
    let certificate = [ENDPOINT, "EXPORTER_OTLP_CERTIFICATE=/ca"];
    assert_refused(&certificate, "does not have OTEL_EXPORTER_OTLP_CERTIFICATE; unset it: SSL_CERT_FILE");
    // What means no trace.
    for variable in ["EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta", "METRICS_EXPORTER=none", "GO_X=1"] {
        assert!(read(&[ENDPOINT, variable, "EXPORTER_OTLP_COMPRESSION=none"]).unwrap().is_some(), "{variable}");
    }
}
