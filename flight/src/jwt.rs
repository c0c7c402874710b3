//! Tokens that somebody else gives out (JSON web tokens).

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// How the tokens are checked. They must be signed by the key with the one algorithm, be
/// for the audience, and expire; `sub` is the user, who need not be one of the database's.
#[derive(Clone)]
pub struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Jwt {
    /// Tokens signed with `algorithm` (`RS256`, `ES256`, `EdDSA`, `HS256`…). `key` is a
    /// public key as PEM, or for HS… the secret.
    pub fn new(
        algorithm: &str,
        key: &[u8],
        audience: &str,
        issuer: Option<&str>,
    ) -> Result<Self, String> {
        let algorithm: Algorithm =
            algorithm.parse().map_err(|_| format!("there is no algorithm '{algorithm}'"))?;
        let key = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                let secret = key.trim_ascii();
                if secret.len() < 32 {
                    return Err("a secret of less than 32 bytes can be guessed".to_owned());
                }
                DecodingKey::from_secret(secret)
            }
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(key),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(key),
            _ => DecodingKey::from_rsa_pem(key),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        validation.set_audience(&[audience]);
        validation.validate_nbf = true;
        if let Some(issuer) = issuer {
            validation.set_required_spec_claims(&["exp", "aud", "sub", "iss"]);
            validation.set_issuer(&[issuer]);
        }
        let key = key.map_err(|error| format!("the key cannot be read: {error}"))?;
        Ok(Self { key, validation })
    }

    /// The user of a token, or why it is not taken.
    pub(crate) fn user(&self, token: &str) -> Result<Arc<str>, String> {
        let token = decode::<Claims>(token, &self.key, &self.validation);
        Ok(token.map_err(|error| error.to_string())?.claims.sub.into())
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("algorithms", &self.validation.algorithms).finish()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

    fn token(algorithm: Algorithm, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_for_this_server_and_not_over() {
        let jwt = Jwt::new("HS256", SECRET, "sheaf", Some("me")).unwrap();
        let claims = json!({ "sub": "ada", "aud": "sheaf", "iss": "me", "exp": 4_000_000_000_u64 });
        assert_eq!(&*jwt.user(&token(Algorithm::HS256, &claims)).unwrap(), "ada");
        assert!(jwt.user(&token(Algorithm::HS512, &claims)).is_err());
        for (claim, wrong) in [
            ("aud", json!("other")),
            ("iss", json!("you")),
            ("exp", json!(1_000_000_000)),
            ("nbf", json!(4_000_000_000_u64)),
        ] {
            let mut changed = claims.clone();
            changed[claim] = wrong;
            assert!(jwt.user(&token(Algorithm::HS256, &changed)).is_err(), "{changed}");
        }
        for claim in ["sub", "aud", "iss", "exp"] {
            let mut without = claims.clone();
            without.as_object_mut().unwrap().remove(claim);
            assert!(jwt.user(&token(Algorithm::HS256, &without)).is_err(), "{without}");
        }
        assert!(jwt.user("e30.e30.").is_err());
        assert!(Jwt::new("HS256", b"short", "sheaf", None).is_err());
        assert!(Jwt::new("none", SECRET, "sheaf", None).is_err());
        assert!(Jwt::new("RS256", SECRET, "sheaf", None).is_err());
    }
}
