//! A smoke test: asks the address under test for a path and judges the answers.

use std::{fmt, net::SocketAddr, time::Duration};

use hyper::StatusCode;
use tokio::{net, time};

use crate::http;

/// What is asked, and what counts as a good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smoke {
    /// `host:port`; port 80 if it has none.
    pub address: String,
    /// The path.
    pub path: String,
    /// Text the body must contain; empty for any body.
    pub expect: String,
    /// How many requests, each on a new connection.
    pub requests: u32,
    /// How long one may take.
    pub timeout: Duration,
}

/// What the answers came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every answer was good.
    Passed,
    /// One was not: this is what was seen.
    Failed(String),
}

impl Smoke {
    /// Asks, and stops at the first answer that is not good.
    pub async fn run(&self) -> Outcome {
        for request in 1..=self.requests {
            let seen = match time::timeout(self.timeout, self.ask()).await {
                Ok(Ok(())) => continue,
                Ok(Err(seen)) => seen,
                Err(_elapsed) => format!("no answer within {:?}", self.timeout),
            };
            return Outcome::Failed(format!("request {request} of {}: {seen}", self.requests));
        }
        Outcome::Passed
    }

    async fn ask(&self) -> Result<(), String> {
        let address = resolve(&self.address).await.map_err(|error| format!("cannot resolve the address: {error}"))?;
        let reply = http::get(address, &self.address, &self.path).await.map_err(|failure| failure.to_string())?;
        if reply.status != StatusCode::OK {
            return Err(format!("status {}", reply.status.as_u16()));
        }
        if !reply.text().contains(&self.expect) {
            return Err(format!("the body does not contain {:?}", self.expect));
        }
        Ok(())
    }

    /// The outcome as a JUnit report with one case.
    pub fn junit(&self, outcome: &Outcome) -> String {
        let case = Escaped(&self.path);
        match outcome {
            Outcome::Passed => format!(
                "<testsuites><testsuite name=\"smoke\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\">\
                 <testcase classname=\"smoke\" name=\"GET {case}\"/></testsuite></testsuites>\n"
            ),
            Outcome::Failed(seen) => format!(
                "<testsuites><testsuite name=\"smoke\" tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\">\
                 <testcase classname=\"smoke\" name=\"GET {case}\"><failure message=\"{}\"/></testcase>\
                 </testsuite></testsuites>\n",
                Escaped(seen)
            ),
        }
    }
}

/// The first address behind `host:port`.
async fn resolve(address: &str) -> Result<SocketAddr, String> {
    let with_port = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
    let mut found = net::lookup_host(&with_port).await.map_err(|error| format!("{with_port}: {error}"))?;
    found.next().ok_or_else(|| format!("{with_port} has no address"))
}

/// Text as the value of an XML attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                control if control.is_control() => f.write_str(" ")?,
                plain => write!(f, "{plain}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, task::spawn};

    use super::*;
    use crate::app::{self, Settings};

    async fn smoke(path: &str, expect: &str) -> (Smoke, Outcome) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        spawn(app::serve(listener, Settings::healthy("v2", "web-1"), std::future::pending()));
        let (path, expect) = (path.to_owned(), expect.to_owned());
        let smoke = Smoke { address, path, expect, requests: 3, timeout: Duration::from_secs(5) };
        let outcome = smoke.run().await;
        (smoke, outcome)
    }

    #[tokio::test]
    async fn a_good_answer_passes() {
        let (smoke, outcome) = smoke("/healthz", "ok").await;
        assert_eq!(outcome, Outcome::Passed);
        assert!(smoke.junit(&outcome).contains("failures=\"0\""));
    }

    #[tokio::test]
    async fn a_bad_status_fails_and_says_so() {
        let (smoke, outcome) = smoke("/nowhere", "").await;
        assert_eq!(outcome, Outcome::Failed("request 1 of 3: status 404".to_owned()));
        assert!(smoke.junit(&outcome).contains("<failure message=\"request 1 of 3: status 404\"/>"));
    }

    #[tokio::test]
    async fn a_body_without_the_expected_text_fails() {
        let (_, outcome) = smoke("/", "\"v3\" <&>").await;
        assert!(matches!(outcome, Outcome::Failed(seen) if seen.contains("does not contain")));
    }

    #[tokio::test]
    async fn an_address_where_nothing_listens_fails() {
        let address = "127.0.0.1:1".to_owned();
        let (path, expect) = ("/".to_owned(), String::new());
        let outcome = Smoke { address, path, expect, requests: 1, timeout: Duration::from_secs(5) }.run().await;
        assert!(matches!(outcome, Outcome::Failed(seen) if seen.contains("Connect")));
    }

    #[test]
    fn what_was_seen_cannot_break_the_report() {
        assert_eq!(Escaped("a\"<b>&\u{0}").to_string(), "a&quot;&lt;b&gt;&amp; ");
    }
}
