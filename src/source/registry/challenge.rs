//! Parses `WWW-Authenticate` headers. Sends no requests. Source: RFC 9110, 11.6.1 and 11.2: commas separate both
//! challenges and their parameters.

/// One authentication scheme that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// Names in lower case, values without their quotes.
    params: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Every challenge in a header; the first syntax error ends the list.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header;
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = take_token(rest);
        if word.is_empty() {
            return challenges;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        let value = after_space.strip_prefix('=').map(|text| text.trim_start_matches([' ', '\t']));
        match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = take_value(value) else { return challenges };
                challenge.params.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), params: Vec::new() });
                rest = skip_token68(after_space);
            }
        }
    }
}

fn take_token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Some servers do not quote a URL, which is then not a token: the value extends to the next comma.
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return Some((value.to_string(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

/// Skips the opaque text of `Negotiate YII=`. What follows its `=` distinguishes it from a parameter.
fn skip_token68(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"-._~+/".contains(c)).unwrap_or(text.len());
    let after = text[end..].trim_start_matches('=').trim_start_matches([' ', '\t']);
    let is_token68 = end > 0 && (after.is_empty() || after.starts_with(','));
    if is_token68 { after } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &[(&str, &[(&str, &str)])]) {
        let own = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        let expected: Vec<Challenge> = expected
            .iter()
            .map(|(scheme, params)| Challenge { scheme: scheme.to_string(), params: params.iter().map(own).collect() })
            .collect();
        assert_eq!(parse(header), expected, "{header}");
    }

    #[test]
    fn a_quoted_comma_belongs_to_its_value() {
        check(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
            &[(
                "bearer",
                &[
                    ("realm", "https://auth.example/token"),
                    ("service", "registry.example"),
                    ("scope", "repository:a/b:pull,push"),
                ],
            )],
        );
    }

    #[test]
    fn several_challenges_share_one_header() {
        check(
            r#"Negotiate, Basic realm="a, b" , charset=UTF-8, Bearer realm="https://x/t""#,
            &[
                ("negotiate", &[]),
                ("basic", &[("realm", "a, b"), ("charset", "UTF-8")]),
                ("bearer", &[("realm", "https://x/t")]),
            ],
        );
        check(r#"Negotiate YII=, Basic realm=x"#, &[("negotiate", &[]), ("basic", &[("realm", "x")])]);
    }

    #[test]
    fn quotes_and_spaces_follow_the_grammar() {
        check(r#"BEARER Realm = "a\"b\\c", x=y"#, &[("bearer", &[("realm", r#"a"b\c"#), ("x", "y")])]);
        check(
            "Bearer realm=https://x/t?a=b,service=s",
            &[("bearer", &[("realm", "https://x/t?a=b"), ("service", "s")])],
        );
    }

    #[test]
    fn a_syntax_error_ends_the_list() {
        check("", &[]);
        check(", ,", &[]);
        check("realm=\"x\"", &[]);
        check(r#"Basic realm="open"#, &[("basic", &[])]);
        check("Basic \u{e9}", &[("basic", &[])]);
    }

    proptest::proptest! {
        #[test]
        fn no_header_is_a_panic(header in "[A-Za-z =,\"\\\\é/]{0,40}") {
            parse(&header);
        }
    }
}
