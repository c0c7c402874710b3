//! Numbers that no decimal holds, like 5e-324, are floating-point numbers.

use datafusion::arrow::datatypes::DECIMAL256_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Value};

use super::build::string_literal;

/// Rewrites a number as a cast of its text, where it must be one.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Value(value) = &*expr else { return };
    let Value::Number(text, _) = &value.value else { return };
    // What no number of the machine holds is an error of its own, as are more digits than a
    // whole number may have.
    let is_float = |number: f64| number.is_finite() && number != 0.0;
    if text.contains(['e', 'E']) && !fits_decimal(text) && text.parse().is_ok_and(is_float) {
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(string_literal(text)),
            data_type: DataType::DoublePrecision,
            array: false,
            format: None,
        };
    }
}

/// Whether a decimal has enough digits for a number.
fn fits_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else { return false };
    let digits = format!("{whole}{fraction}").trim_start_matches('0').len() as i64;
    let scale = (fraction.len() as i64).saturating_sub(exponent);
    // Zeros after the digits count, and those between them and the point.
    let precision = if scale < 0 { digits.saturating_sub(scale) } else { digits.max(scale) };
    precision <= i64::from(DECIMAL256_MAX_PRECISION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_hold_76_digits() {
        for text in ["0", "1.5", "1e75", "1e-76", "0.00001e-70", ".5", "1.", "12e3"] {
            assert!(fits_decimal(text), "{text}");
        }
        for text in
            ["1e76", "1e-77", "5e-324", "12e75", "1e-9223372036854775808", "1e99999999999999999999"]
        {
            assert!(!fits_decimal(text), "{text}");
        }
    }
}
