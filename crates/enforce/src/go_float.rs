//! Numbers as Go prints them with `%v`, because Mimir's texts carry rates that way.

/// A float as Go's `fmt` prints it with `%v`: the fewest digits that read back as the same float, with an exponent of
/// at least two digits if the decimal exponent is below -4 or from 6 on (Go `strconv/ftoa.go`, format `g`, shortest).
///
/// `500000`, `1e+06`, `1e-05`, `+Inf`, `-Inf`, `NaN`; a negative zero is `-0`.
#[must_use]
pub fn format_go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = shortest(value);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return without_exponent(digits, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// The fewest digits that read back as `value`, as Rust's `{:e}` lays them out: `-1.25e-7`.
///
/// Where two numbers of that length are equally near, Go takes the even one. Rust takes the larger, unless the length
/// is given; a given length in turn may miss `value` next to a power of two, where the spacing of floats changes.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{value:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(value) { even } else { shortest }
}

/// Moves the point of `d.ddd` by `exponent` places, adding zeros where no digit is.
fn without_exponent(digits: &str, exponent: i32) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    let Ok(point) = usize::try_from(exponent + 1) else {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    };
    match digits.split_at_checked(point) {
        Some(("", fraction)) => format!("{sign}0.{fraction}"),
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits:0<point$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(format_go_float(value), expected);
    }

    /// Every row was printed by Go with `fmt.Printf("%v")`.
    #[test]
    fn prints_finite_numbers_as_go_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (20.0, "20"),
            (0.1, "0.1"),
            (2.5, "2.5"),
            (3.333, "3.333"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.0001, "0.0001"),
            (0.000123, "0.000123"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (12345.678, "12345.678"),
            (99_999.0, "99999"),
            (100_000.0, "100000"),
            (500_000.0, "500000"),
            (999_999.0, "999999"),
            (999_999.5, "999999.5"),
            (1_000_000.0, "1e+06"),
            (1_000_000.5, "1.0000005e+06"),
            (1_234_567.0, "1.234567e+06"),
            (-12_345_678.9, "-1.23456789e+07"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (1e23, "1e+23"),
            (1e100, "1e+100"),
            (524_288.0 + 1.0 / 2_048.0, "524288.0004882812"),
            (524_288.0 + 3.0 / 2_048.0, "524288.0014648438"),
            (2_f64.powi(-25), "2.9802322387695312e-08"),
            (f64::from_bits(0xc31e_be86_8dcb_fa81), "-2.1634336037925442e+15"),
            (5e-324, "5e-324"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            check(value, expected);
        }
    }

    #[test]
    fn names_what_is_no_number() {
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }
}
