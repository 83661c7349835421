//! A server that does nothing but send a file: `bare FILE`. It prints its address; benches compare
//! with it what QuizMentor does beyond that.

use std::io::Write;

use axum::{Router, http::header, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("name a file"))?;
    let body = axum::body::Bytes::from(std::fs::read(file)?);
    let json = [(header::CONTENT_TYPE, "application/json")];
    let router = Router::new().fallback(get(async move || (json, body.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            // A client that leaves in the middle is no matter here.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
