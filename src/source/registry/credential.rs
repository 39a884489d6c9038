//! A secret for a registry; its Debug form hides it.

use std::fmt;

/// A secret for a registry or its token server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Basic {
        username: String,
        password: String,
    },
    /// An OAuth2 refresh token, which only the token server accepts.
    IdentityToken {
        username: String,
        token: String,
    },
    /// A bearer token for the registry itself.
    RegistryToken(String),
}

impl Credential {
    /// `None` for the empty pair that a logout leaves behind.
    pub(super) fn from_pair(username: String, secret: String) -> Option<Credential> {
        match username.as_str() {
            "" if secret.is_empty() => None,
            // The helpers' marker for an identity token.
            "<token>" => Some(Credential::IdentityToken { username: String::new(), token: secret }),
            _ => Some(Credential::Basic { username, password: secret }),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::Basic { username, .. } => write!(f, "Basic({username:?}, ***)"),
            Credential::IdentityToken { username, .. } => write!(f, "IdentityToken({username:?}, ***)"),
            Credential::RegistryToken(_) => f.write_str("RegistryToken(***)"),
        }
    }
}
