//! Which sites' pages may have a browser ask this server.
//!
//! A server without a key trusts anyone who reaches it. Browsers reach what their user reaches, on behalf of
//! any page: so a page of another site must be told apart, by what browsers say of it and by the name under
//! which it found the server.

use std::net::IpAddr;

use axum::http::{HeaderMap, Request, StatusCode, Version, header};

use super::error::{ApiError, ApiResult};

/// Names and sites that are welcome.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// Whether the server listens on this machine only: then its names are known.
    pub(crate) local: bool,
    /// Names beside those of this machine.
    pub(crate) hosts: Vec<String>,
    /// Sites whose pages may ask, such as `https://shop.example`.
    pub(crate) sites: Vec<String>,
}

impl Origins {
    /// Whether a request without a key comes from where one may. What is `open` to everybody pages may lead
    /// to.
    ///
    /// # Errors
    /// It was sent to another name, or by a page of another site.
    pub(crate) fn check<B>(&self, request: &Request<B>, open: bool) -> ApiResult<()> {
        let host = host(request).unwrap_or_default();
        if self.local && !self.allows_host(host) {
            // A page can point its own name at this machine, and is then of the same site for the browser.
            let text = "this server answers to localhost and IP addresses only; --allow-host NAME allows another name, an API key any";
            return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", text));
        }
        let headers = request.headers();
        let origin = text(headers, header::ORIGIN);
        let own = match (text(headers, "sec-fetch-site"), origin) {
            // Pages cannot set this header; `none` stands for people who typed the address.
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => {
                origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host))
            }
            (None, None) => true,
        };
        if open || own || origin.is_some_and(|origin| self.sites.iter().any(|site| site == origin)) {
            return Ok(());
        }
        let text =
            "a page of another site asks; --cors ORIGIN allows it, and so does an API key with the request";
        Err(ApiError::new(StatusCode::FORBIDDEN, "cross_site", text))
    }

    fn allows_host(&self, host: &str) -> bool {
        let name = without_port(host);
        let ip = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        ip.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether a request names its host as often as its version of HTTP asks for (RFC 9112, 3.2).
///
/// # Errors
/// It does not, or names two.
pub(crate) fn one_host<B>(request: &Request<B>) -> ApiResult<()> {
    let given = request.headers().get_all(header::HOST).iter().count();
    if given == 1 || (given == 0 && request.version() < Version::HTTP_11) {
        return Ok(());
    }
    let text = format!("the request has {given} headers `Host`; allowed: one");
    Err(ApiError::new(StatusCode::BAD_REQUEST, "malformed", text))
}

/// A site as browsers name it: scheme, name and perhaps port, nothing else.
pub(crate) fn parse_site(text: &str) -> Result<String, String> {
    let at = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    match at.filter(|at| !at.is_empty() && at.chars().all(plain)) {
        Some(_) => Ok(text.to_ascii_lowercase()),
        None => Err("expected a site such as https://shop.example, without a path".into()),
    }
}

/// The name under which the server was found.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let named = request.uri().authority().map(axum::http::uri::Authority::as_str);
    named.or_else(|| text(request.headers(), header::HOST))
}

/// The same without the port.
pub(crate) fn named_host<B>(request: &Request<B>) -> Option<&str> {
    host(request).map(without_port)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/v1/model");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn only_names_of_this_machine_lead_here() {
        let origins = Origins { local: true, hosts: vec!["box.lan".into()], sites: Vec::new() };
        let check = |host: &str| origins.check(&request(&[("host", host)]), false).is_ok();
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.168.0.9",
            "box.lan:80",
        ] {
            assert!(check(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "x:y",
        ] {
            assert!(!check(other), "{other}");
        }
        let mut absolute = request(&[("host", "localhost")]);
        *absolute.uri_mut() = "http://evil.example/v1/model".parse().unwrap();
        assert!(origins.check(&absolute, true).is_err());
        assert!(Origins::default().check(&request(&[("host", "shop.example")]), false).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused_unless_they_are_named() {
        let origins = Origins { sites: vec!["https://shop.example".into()], ..Origins::default() };
        let check = |headers: &[(&str, &str)]| origins.check(&request(headers), false).is_ok();
        let host = ("host", "localhost:8080");
        assert!(check(&[host]));
        assert!(check(&[host, ("origin", "http://localhost:8080")]));
        assert!(check(&[host, ("sec-fetch-site", "none")]));
        assert!(check(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")]));
        assert!(check(&[host, ("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")]));
        assert!(!check(&[host, ("origin", "http://evil.example")]));
        assert!(!check(&[host, ("origin", "http://localhost:9090")]), "another program of this machine");
        assert!(!check(&[host, ("origin", "null")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]));
    }

    #[test]
    fn one_request_has_one_host() {
        assert!(one_host(&request(&[("host", "a")])).is_ok());
        assert!(
            one_host(&request(&[])).is_err() && one_host(&request(&[("host", "a"), ("host", "a")])).is_err()
        );
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(one_host(&old).is_ok());
    }

    #[test]
    fn sites_have_no_paths() {
        assert_eq!(parse_site("https://Shop.example:8443").unwrap(), "https://shop.example:8443");
        assert!(
            ["*", "shop.example", "https://", "https://a/", "ftp://a", "https://a b"]
                .iter()
                .all(|s| parse_site(s).is_err())
        );
    }
}
