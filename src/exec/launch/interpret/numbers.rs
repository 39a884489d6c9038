//! Arithmetic, and parts of values by index.

use super::ScriptInterpreter;
use super::state::ShellState;
use super::text::{self, HOLE, MANY, SOFT};
use crate::shell::{self, ArithmeticExpression, Operator, ShellWord};

impl ScriptInterpreter<'_, '_, '_> {
    pub(super) fn integer(&mut self, state: &mut ShellState, word: &ShellWord) -> Option<i64> {
        let text = self.text(state, word);
        self.number(state, &shell::expression(&text::plain(&text)))
    }

    /// Returns the value of an arithmetic expression, if it is known.
    pub(super) fn number(&mut self, state: &mut ShellState, expression: &ArithmeticExpression) -> Option<i64> {
        match expression {
            ArithmeticExpression::Number(number) => Some(*number),
            ArithmeticExpression::Variable(name) => {
                let text = self.scalar(state, name);
                if text::is_soft(&text) {
                    None
                } else if text.is_empty() {
                    Some(0)
                } else {
                    text.parse().ok()
                }
            }
            ArithmeticExpression::Not(inner) => self.number(state, inner).map(|number| i64::from(number == 0)),
            ArithmeticExpression::Binary(left, operator, right) => {
                let (left, right) = (self.number(state, left), self.number(state, right));
                let (left, right) = (left?, right?);
                Some(match operator {
                    Operator::Or => i64::from(left != 0 || right != 0),
                    Operator::And => i64::from(left != 0 && right != 0),
                    Operator::Equal => i64::from(left == right),
                    Operator::NotEqual => i64::from(left != right),
                    Operator::Less => i64::from(left < right),
                    Operator::LessOrEqual => i64::from(left <= right),
                    Operator::Greater => i64::from(left > right),
                    Operator::GreaterOrEqual => i64::from(left >= right),
                    Operator::Add => left.checked_add(right)?,
                    Operator::Subtract => left.checked_sub(right)?,
                    Operator::Multiply => left.checked_mul(right)?,
                    Operator::Divide => left.checked_div(right)?,
                    Operator::Remainder => left.checked_rem(right)?,
                })
            }
            ArithmeticExpression::Other(names) => {
                for name in names {
                    state.set_text(name, HOLE.to_string());
                }
                None
            }
        }
    }
}

/// `${a[@]:offset:length}`. For `$@`, the first element is `$0`.
pub(super) fn sliced(
    items: Vec<String>,
    state: &ShellState,
    starts_at_zero: bool,
    offset: Option<i64>,
    length: Option<Option<i64>>,
) -> Vec<String> {
    let (Some(offset), length) = (offset, length.map(|length| length.and_then(|length| usize::try_from(length).ok())))
    else {
        return vec![MANY.to_string()];
    };
    if length == Some(None) {
        return vec![MANY.to_string()];
    }
    let mut items = items;
    if starts_at_zero {
        items.insert(0, state.zero.to_string());
    }
    let start = match usize::try_from(offset) {
        Ok(start) => start,
        Err(_) => items.len().saturating_sub(offset.unsigned_abs() as usize),
    };
    let is_vague = items.iter().take(start).any(|item| item.starts_with(MANY));
    if is_vague {
        return vec![MANY.to_string()];
    }
    items.into_iter().skip(start).take(length.flatten().unwrap_or(usize::MAX)).collect()
}

pub(super) fn substring(value: &str, offset: Option<i64>, length: Option<Option<i64>>) -> String {
    let is_soft = text::is_soft(value);
    let chars: Vec<char> = text::plain(value).chars().collect();
    let (Some(offset), true) = (offset, text::is_known(value)) else { return HOLE.to_string() };
    let start = match usize::try_from(offset) {
        Ok(start) => start.min(chars.len()),
        Err(_) => chars.len().saturating_sub(offset.unsigned_abs() as usize),
    };
    let end = match length {
        None => chars.len(),
        Some(None) => return HOLE.to_string(),
        Some(Some(length)) if length < 0 => chars.len().saturating_sub(length.unsigned_abs() as usize),
        Some(Some(length)) => start.saturating_add(length.unsigned_abs() as usize).min(chars.len()),
    };
    let text: String = chars.get(start..end.max(start)).unwrap_or_default().iter().collect();
    if is_soft { format!("{SOFT}{text}") } else { text }
}
