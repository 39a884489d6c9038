//! Tokens that CNCF Distribution accepts: JSON web tokens that contain the certificate of their key.
//! Source: CNCF Distribution, "Token Authentication Implementation".

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub const ISSUER: &str = "test-issuer";
pub const SERVICE: &str = "test-service";

/// Signs tokens with its own key.
pub struct Signer {
    directory: PathBuf,
    header: String,
}

impl Signer {
    /// Creates the key, and its certificate as `token.pem`, in `directory`.
    pub fn new(directory: &Path) -> Signer {
        let request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=tokens -days 2 -keyout token.key -out token.pem";
        super::openssl(directory, request);
        let pem = std::fs::read_to_string(directory.join("token.pem")).unwrap();
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(&der).expect("a PEM file is base64");
        let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{der}"]}}"#);
        Signer { directory: directory.to_path_buf(), header }
    }

    /// A token for a scope in a registry's form: `repository:team/app:pull,push`.
    pub fn sign(&self, scope: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let access = match scope.split(':').collect::<Vec<_>>().as_slice() {
            [kind, name, actions] => {
                let actions = actions.replace(',', r#"",""#);
                format!(r#"{{"type":"{kind}","name":"{name}","actions":["{actions}"]}}"#)
            }
            _ => String::new(),
        };
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"user","aud":"{SERVICE}","iat":{now},"nbf":{},"exp":{},"jti":"1","access":[{access}]}}"#,
            now - 60,
            now + 300,
        );
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(&self.header), URL_SAFE_NO_PAD.encode(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.signature(&signed)))
    }

    fn signature(&self, text: &str) -> Vec<u8> {
        use std::io::Write;
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-sign", "token.key"]).current_dir(&self.directory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    }
}
