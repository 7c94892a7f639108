//! Mimir's messages as prost decodes them. Strings are bytes, since Go does not check UTF-8.
//!
//! Each protocol comes twice: with exemplars as messages, and with exemplars that are only passed over.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub metric_family_name: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub help: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub unit: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetadataV2 {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// The same message, with every occurrence of its references.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetadataReferences {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(uint32, repeated, tag = "3")]
    pub help: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    pub unit: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SampleV1 {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SampleV2 {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExemplarV1 {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExemplarV2 {
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Count {
    #[prost(uint64, tag = "1")]
    Integer(u64),
    #[prost(double, tag = "2")]
    Float(f64),
}

macro_rules! histogram {
    ($name:ident { $($last:tt)* }) => {
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $name {
            #[prost(oneof = "Count", tags = "1, 2")]
            pub count: Option<Count>,
            #[prost(double, tag = "3")]
            pub sum: f64,
            #[prost(sint32, tag = "4")]
            pub schema: i32,
            #[prost(double, tag = "5")]
            pub zero_threshold: f64,
            #[prost(uint64, tag = "6")]
            pub zero_count_int: u64,
            #[prost(double, tag = "7")]
            pub zero_count_float: f64,
            #[prost(message, repeated, tag = "8")]
            pub negative_spans: Vec<BucketSpan>,
            #[prost(sint64, repeated, tag = "9")]
            pub negative_deltas: Vec<i64>,
            #[prost(double, repeated, tag = "10")]
            pub negative_counts: Vec<f64>,
            #[prost(message, repeated, tag = "11")]
            pub positive_spans: Vec<BucketSpan>,
            #[prost(sint64, repeated, tag = "12")]
            pub positive_deltas: Vec<i64>,
            #[prost(double, repeated, tag = "13")]
            pub positive_counts: Vec<f64>,
            #[prost(int32, tag = "14")]
            pub reset_hint: i32,
            #[prost(int64, tag = "15")]
            pub timestamp: i64,
            #[prost(double, repeated, tag = "16")]
            pub custom_values: Vec<f64>,
            $($last)*
        }
    };
}

histogram!(HistogramV1 {});
histogram!(HistogramV2 {
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
});

macro_rules! request_v1 {
    ($request:ident, $series:ident, ($($kind:tt)*) $exemplar:ty) => {
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $series {
            #[prost(message, repeated, tag = "1")]
            pub labels: Vec<Label>,
            #[prost(message, repeated, tag = "2")]
            pub samples: Vec<SampleV1>,
            #[prost($($kind)*, repeated, tag = "3")]
            pub exemplars: Vec<$exemplar>,
            #[prost(message, repeated, tag = "4")]
            pub histograms: Vec<HistogramV1>,
            #[prost(int64, tag = "6")]
            pub created_timestamp: i64,
        }

        /// Fields 4 and 5 are of the other protocol: that they are there is all that counts.
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $request {
            #[prost(message, repeated, tag = "1")]
            pub timeseries: Vec<$series>,
            #[prost(int32, tag = "2")]
            pub source: i32,
            #[prost(message, repeated, tag = "3")]
            pub metadata: Vec<Metadata>,
            #[prost(bytes = "vec", repeated, tag = "4")]
            pub foreign_symbols: Vec<Vec<u8>>,
            #[prost(bytes = "vec", repeated, tag = "5")]
            pub foreign_timeseries: Vec<Vec<u8>>,
            #[prost(bool, tag = "1000")]
            pub skip_label_validation: bool,
            #[prost(bool, tag = "1001")]
            pub skip_label_count_validation: bool,
        }

        impl $request {
            pub(crate) fn is_foreign(&self) -> bool {
                !self.foreign_symbols.is_empty() || !self.foreign_timeseries.is_empty()
            }
        }
    };
}

macro_rules! request_v2 {
    ($request:ident, $series:ident, ($($kind:tt)*) $exemplar:ty) => {
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $series {
            #[prost(uint32, repeated, tag = "1")]
            pub labels_refs: Vec<u32>,
            #[prost(message, repeated, tag = "2")]
            pub samples: Vec<SampleV2>,
            #[prost(message, repeated, tag = "3")]
            pub histograms: Vec<HistogramV2>,
            #[prost($($kind)*, repeated, tag = "4")]
            pub exemplars: Vec<$exemplar>,
            #[prost(message, optional, tag = "5")]
            pub metadata: Option<MetadataV2>,
            #[prost(int64, tag = "6")]
            pub created_timestamp: i64,
        }

        /// Fields 1 and 3 are of the other protocol: that they are there is all that counts.
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $request {
            #[prost(bytes = "vec", repeated, tag = "1")]
            pub foreign_timeseries: Vec<Vec<u8>>,
            #[prost(int32, tag = "2")]
            pub source: i32,
            #[prost(bytes = "vec", repeated, tag = "3")]
            pub foreign_metadata: Vec<Vec<u8>>,
            #[prost(bytes = "vec", repeated, tag = "4")]
            pub symbols: Vec<Vec<u8>>,
            #[prost(message, repeated, tag = "5")]
            pub timeseries: Vec<$series>,
            #[prost(bool, tag = "1000")]
            pub skip_label_validation: bool,
            #[prost(bool, tag = "1001")]
            pub skip_label_count_validation: bool,
        }

        impl $request {
            pub(crate) fn is_foreign(&self) -> bool {
                !self.foreign_timeseries.is_empty() || !self.foreign_metadata.is_empty()
            }
        }
    };
}

request_v1!(RequestV1, SeriesV1, (message) ExemplarV1);
request_v1!(RequestV1Skipping, SeriesV1Skipping, (bytes = "vec") Vec<u8>);
request_v2!(RequestV2, SeriesV2, (message) ExemplarV2);
request_v2!(RequestV2Skipping, SeriesV2Skipping, (bytes = "vec") Vec<u8>);

/// A 2.0 push whose series are still bytes.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Outline {
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub symbols: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub timeseries: Vec<Vec<u8>>,
}

/// A 2.0 series whose messages are still bytes.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SeriesOutline {
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub exemplars: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub metadata: Vec<Vec<u8>>,
}
