//! UUIDs: sixteen bytes inside, text outside.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};

use crate::error::{Error, ErrorKind, Result};

/// Bytes of a UUID.
pub(crate) const UUID_BYTES: i32 = 16;

/// Reads the forms that PostgreSQL reads: with or without dashes and braces.
pub(crate) fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || Error::new(ErrorKind::InvalidText, format!("'{text}' is not a UUID"));
    let trimmed = text.trim();
    let trimmed = trimmed.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(trimmed);
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    for c in trimmed.chars() {
        if c == '-' && digits > 0 && digits % 4 == 0 {
            continue;
        }
        let digit = c.to_digit(16).ok_or_else(invalid)?;
        let byte = bytes.get_mut(digits / 2).ok_or_else(invalid)?;
        *byte = (*byte << 4) | digit as u8;
        digits += 1;
    }
    if digits == 32 { Ok(bytes) } else { Err(invalid()) }
}

/// The form with dashes, in lower case.
pub(crate) fn format_uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Compares UUID columns with text literals as UUIDs, not as the text's bytes.
#[derive(Debug)]
pub(crate) struct UuidLiterals;

impl ExprPlanner for UuidLiterals {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        // Only an expression with a literal can matter: do not ask for types else.
        if is_text(&expr.right) && is_uuid(&expr.left, schema) {
            expr.right = literal(&expr.right)?;
        } else if is_text(&expr.left) && is_uuid(&expr.right, schema) {
            expr.left = literal(&expr.left)?;
        }
        Ok(PlannerResult::Original(expr))
    }
}

pub(super) fn is_uuid(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::FixedSizeBinary(UUID_BYTES)))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            Some(text)
        }
        _ => None,
    }
}

fn is_text(expr: &Expr) -> bool {
    text_of(expr).is_some()
}

/// The UUID that a text literal means; other expressions stay as they are.
pub(super) fn literal(expr: &Expr) -> PlanResult<Expr> {
    let Some(text) = text_of(expr) else { return Ok(expr.clone()) };
    let bytes = parse_uuid(text)?;
    Ok(Expr::Literal(ScalarValue::FixedSizeBinary(UUID_BYTES, Some(bytes.to_vec())), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_read_and_write() {
        let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for form in
            [text, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11"]
        {
            assert_eq!(format_uuid(&parse_uuid(form).unwrap()), text);
        }
        for bad in [
            "",
            "a0eebc99",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1111",
        ] {
            assert_eq!(parse_uuid(bad).unwrap_err().kind, ErrorKind::InvalidText);
        }
    }
}
