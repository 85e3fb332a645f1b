//! Several catalogues in one process, told apart by the name under which the server is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use tower::ServiceExt;

use super::origin::named_host;
use crate::args::{Serve, parse_named};

/// Catalogues of a file.
const MOST: usize = 100;

/// A catalogue of a file: what `alike serve` takes of it, by the names of its flags.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tenant {
    hosts: Vec<String>,
    run: PathBuf,
    data: Option<PathBuf>,
    store: Option<String>,
    compare: Option<PathBuf>,
    scenarios: Option<PathBuf>,
    tests: Option<PathBuf>,
    #[serde(default)]
    encoder: Vec<String>,
    api_key_file: Option<PathBuf>,
    api_keys: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    tenants: Vec<Tenant>,
}

/// The catalogues of a file, each as the command would serve it alone: what the file does not say and cannot
/// belong to one of them (limits, encryption, the log) is as in `args`. With the names that lead to each.
///
/// # Errors
/// The file cannot be read, or says what is not allowed.
pub(super) fn read(path: &Path, args: &Serve) -> Result<Vec<(Vec<String>, Serve)>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let file: TenantFile = toml::from_str(&text).map_err(|e| e.message().replace('\n', " "))?;
    if file.tenants.is_empty() || file.tenants.len() > MOST {
        return Err(format!("has {} tenants; allowed: 1 to {MOST}", file.tenants.len()));
    }
    let (mut names, mut runs) = (BTreeSet::new(), BTreeSet::from([args.run.clone()]));
    let mut all = Vec::new();
    for tenant in file.tenants {
        let of = |text: String| format!("tenant `{}`: {text}", tenant.run.display());
        if tenant.hosts.is_empty() {
            return Err(of("has no `hosts`, by which it would be asked".into()));
        }
        for host in &tenant.hosts {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            if host.is_empty() || !host.chars().all(plain) {
                return Err(of(format!(
                    "`hosts` has {host}; allowed: names without a port, such as a.example"
                )));
            }
            if !names.insert(host.to_ascii_lowercase()) {
                return Err(of(format!("{host} leads to another one too")));
            }
        }
        if !runs.insert(tenant.run.clone()) && tenant.store.is_none() {
            return Err(of(
                "is served already; a second catalogue of the same run needs a `store` of its own".into(),
            ));
        }
        let encoders = tenant.encoder.iter().map(|text| parse_named(text)).collect::<Result<Vec<_>, _>>();
        let serve = Serve {
            run: tenant.run.clone(),
            data: tenant.data.clone(),
            store: Some(tenant.store.clone().unwrap_or_default()),
            compare: tenant.compare.clone(),
            scenarios: tenant.scenarios.clone(),
            tests: tenant.tests.clone(),
            encoders: encoders.map_err(|why| of(format!("`encoder`: {why}")))?,
            index: Some("exact".into()),
            api_key_file: tenant.api_key_file.clone().or(args.api_key_file.clone()),
            api_keys: tenant.api_keys.clone().or(args.api_keys.clone()),
            allow_host: args.allow_host.iter().chain(&tenant.hosts).cloned().collect(),
            tenants: None,
            ..args.clone()
        };
        all.push((tenant.hosts, serve));
    }
    Ok(all)
}

/// Passes a request on to the router of the host that it names, any other to `otherwise`.
pub(super) fn by_host(tenants: Vec<(Vec<String>, Router)>, otherwise: Router) -> Router {
    if tenants.is_empty() {
        return otherwise;
    }
    Router::new().fallback(async move |request: Request<Body>| {
        let host = named_host(&request).unwrap_or_default().to_ascii_lowercase();
        let known = |(names, _): &&(Vec<String>, Router)| names.iter().any(|n| n.eq_ignore_ascii_case(&host));
        let router = tenants.iter().find(known).map_or(&otherwise, |(_, router)| router);
        router.clone().oneshot(request).await
    })
}
