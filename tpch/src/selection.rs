//! Lists of query numbers as people write them: `1,5-7`.

use crate::failure::{Failure, Result};

/// The numbers that `text` lists, in its order and each once. All of `1..=last`
/// without a text.
pub fn parse(text: Option<&str>, last: usize) -> Result<Vec<usize>> {
    let Some(text) = text else { return Ok((1..=last).collect()) };
    let mut numbers = Vec::new();
    for item in text.split(',').map(str::trim) {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let (from, to) = (number(from, last)?, number(to, last)?);
        if from > to {
            return Err(Failure::new(format!("'{item}' goes backwards: write {to}-{from}")));
        }
        for number in from..=to {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    Ok(numbers)
}

fn number(text: &str, last: usize) -> Result<usize> {
    match text.trim().trim_start_matches(['q', 'Q']).parse() {
        Ok(number) if (1..=last).contains(&number) => Ok(number),
        _ => Err(Failure::new(format!("'{text}' is not a query: they are numbered 1 to {last}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_ranges_and_all() {
        assert_eq!(parse(Some("1,5-7"), 22).unwrap(), [1, 5, 6, 7]);
        assert_eq!(parse(Some(" q3 , 2-4,3"), 22).unwrap(), [3, 2, 4]);
        assert_eq!(parse(None, 3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in ["0", "23", "", "1,,2", "a", "7-5", "1-99", "-3"] {
            assert!(parse(Some(text), 22).is_err(), "{text:?}");
        }
    }
}
