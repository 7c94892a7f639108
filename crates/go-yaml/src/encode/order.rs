//! The order in which yaml.v3 marshals the keys of a map (its `sorter.go`): numbers before strings, and numbers within
//! strings by their value.

use std::cmp::Ordering;

use crate::value::Value;

/// A merge sort by Go's order. That is no total order for NaN and non-ASCII digits, which the standard library's sort requires.
pub(crate) fn sort<T>(items: Vec<T>, key: &impl Fn(&T) -> &Value) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let (left, right) = (sort(left, key), sort(right, key));
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let is_behind = compare(key(one), key(other)) == Ordering::Greater;
        sorted.extend(if is_behind { right.next() } else { left.next() });
    }
    sorted.extend(left);
    sorted.extend(right);
    sorted
}

pub(crate) fn compare(left: &Value, right: &Value) -> Ordering {
    match (number(left), number(right)) {
        (Some(one), Some(other)) => {
            one.partial_cmp(&other).unwrap_or(Ordering::Equal).then(kind(left).cmp(&kind(right)))
        }
        _ => match (left, right) {
            (Value::Text(left), Value::Text(right)) => texts(left, right),
            _ => kind(left).cmp(&kind(right)),
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    }
}

/// The order of Go's `reflect.Kind`.
fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(value) => {
            if i64::try_from(*value).is_ok() {
                2
            } else {
                11
            }
        }
        Value::Float(_) => 14,
        Value::Map(_) => 21,
        Value::List(_) => 23,
        Value::Text(_) => 24,
        Value::Timestamp(_) => 25,
    }
}

fn texts(left: &str, right: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut digits = false;
    for (at, (one, other)) in a.iter().zip(&b).enumerate() {
        if one == other {
            digits = one.is_numeric();
            continue;
        }
        return match (one.is_alphabetic(), other.is_alphabetic()) {
            (true, true) => one.cmp(other),
            (false, false) => by_value(&a, &b, at).then(one.cmp(other)),
            (one_is_letter, _) => {
                let less = if digits { one_is_letter } else { !one_is_letter };
                if less { Ordering::Less } else { Ordering::Greater }
            }
        };
    }
    a.len().cmp(&b.len())
}

/// Compares the numbers at this index.
fn by_value(left: &[char], right: &[char], at: usize) -> Ordering {
    let zero = [left, right].iter().any(|text| text.get(at) == Some(&'0'));
    let before = left.get(..at).unwrap_or_default().iter().rev();
    let in_a_number = zero && before.take_while(|character| character.is_numeric()).any(|character| *character != '0');
    let (one, other) = (value(left, at, in_a_number), value(right, at, in_a_number));
    one.cmp(&other)
}

/// A number's value and its end. Go's has 64 bits and wraps around.
fn value(text: &[char], at: usize, in_a_number: bool) -> (i64, usize) {
    let digits = text.iter().skip(at).take_while(|character| character.is_numeric());
    let (mut number, mut end) = (i64::from(in_a_number), at);
    for digit in digits {
        number = number.wrapping_mul(10).wrapping_add(i64::from(u32::from(*digit)) - i64::from(u32::from('0')));
        end += 1;
    }
    (number, end)
}
