//! Arithmetic expressions after the expansion of parameters. Source: POSIX XCU 2.6.4, bash(1) ARITHMETIC EVALUATION.

/// Maximum nesting, and maximum number of operators on one level.
const MAX_DEPTH: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArithmeticExpression {
    Number(i64),
    Variable(String),
    Not(Box<ArithmeticExpression>),
    Binary(Box<ArithmeticExpression>, Operator, Box<ArithmeticExpression>),
    /// `?:`, assignments and bit operations: the value is only known at run time. Contains the variables that it may
    /// set.
    Other(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// From the lowest to the highest precedence.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[("<=", Operator::LessOrEqual), (">=", Operator::GreaterOrEqual), ("<", Operator::Less), (">", Operator::Greater)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

/// Parses an expression.
pub fn expression(text: &str) -> ArithmeticExpression {
    let mut reader = ArithmeticReader { rest: text.trim() };
    match reader.level(0, 0) {
        Some(expression) if reader.rest.is_empty() => expression,
        Some(_) | None => ArithmeticExpression::Other(assigned(text)),
    }
}

/// All names in the text, any of which it may assign to.
fn assigned(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names =
        text.split(|c| !is_name(c)).filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    names.map(str::to_string).collect()
}

struct ArithmeticReader<'t> {
    rest: &'t str,
}

impl ArithmeticReader<'_> {
    fn level(&mut self, level: usize, depth: usize) -> Option<ArithmeticExpression> {
        if depth > MAX_DEPTH {
            return None;
        }
        let Some(operators) = LEVELS.get(level) else { return self.primary(depth) };
        let mut left = self.level(level + 1, depth)?;
        for _ in 0..MAX_DEPTH {
            self.rest = self.rest.trim_start();
            let found = operators.iter().find(|(text, _)| self.rest.starts_with(text));
            let Some((text, operator)) = found else { return Some(left) };
            let after = &self.rest[text.len()..];
            let is_other = matches!(text.as_bytes(), [_])
                && after.starts_with(['=', '+', '-', '*', '<', '>'])
                && !after.starts_with("- ");
            if is_other {
                return None;
            }
            self.rest = after;
            let right = self.level(level + 1, depth)?;
            left = ArithmeticExpression::Binary(Box::new(left), *operator, Box::new(right));
        }
        None
    }

    fn primary(&mut self, depth: usize) -> Option<ArithmeticExpression> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        match first {
            '!' => {
                self.rest = &self.rest[1..];
                Some(ArithmeticExpression::Not(Box::new(self.level(LEVELS.len(), depth + 1)?)))
            }
            '(' => {
                self.rest = &self.rest[1..];
                let inner = self.level(0, depth + 1)?;
                self.rest = self.rest.trim_start().strip_prefix(')')?;
                Some(inner)
            }
            '-' => {
                self.rest = &self.rest[1..];
                // A decrement.
                if self.rest.starts_with('-') {
                    return None;
                }
                let inner = self.level(LEVELS.len(), depth + 1)?;
                Some(ArithmeticExpression::Binary(
                    Box::new(ArithmeticExpression::Number(0)),
                    Operator::Subtract,
                    Box::new(inner),
                ))
            }
            '0'..='9' => {
                let len = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
                let (digits, rest) = self.rest.split_at(len);
                self.rest = rest;
                // Octal and hexadecimal numbers are not supported.
                if digits.len() > 1 && digits.starts_with('0') {
                    return None;
                }
                digits.parse().ok().map(ArithmeticExpression::Number)
            }
            first if first.is_ascii_alphabetic() || first == '_' => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let len = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(len);
                self.rest = rest;
                let next = rest.trim_start();
                let assigns = next.starts_with('=') && !next.starts_with("==")
                    || next.starts_with("++")
                    || next.starts_with("--");
                if assigns || next.starts_with('[') {
                    return None;
                }
                Some(ArithmeticExpression::Variable(name.to_string()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_c() {
        let number = |n| Box::new(ArithmeticExpression::Number(n));
        let product = ArithmeticExpression::Binary(number(2), Operator::Multiply, number(3));
        assert_eq!(expression("1 + 2*3"), ArithmeticExpression::Binary(number(1), Operator::Add, Box::new(product)));
        assert_eq!(
            expression("!(x > 0)"),
            ArithmeticExpression::Not(Box::new(ArithmeticExpression::Binary(
                Box::new(ArithmeticExpression::Variable("x".into())),
                Operator::Greater,
                number(0)
            )))
        );
    }

    #[test]
    fn assignments_are_left_to_run_time_with_their_names() {
        assert_eq!(expression("i++"), ArithmeticExpression::Other(vec!["i".into()]));
        assert_eq!(expression("--i"), ArithmeticExpression::Other(vec!["i".into()]));
        assert_eq!(expression("i = j + 1"), ArithmeticExpression::Other(vec!["i".into(), "j".into()]));
        assert_eq!(expression("x & 1"), ArithmeticExpression::Other(vec!["x".into()]));
        assert!(matches!(expression(&"(".repeat(1000)), ArithmeticExpression::Other(_)));
    }
}
