use std::sync::Arc;

use super::*;
use crate::observer::NoUpstreamObserver;

fn urls(max_hosts: usize) -> Urls {
    Urls::new(UrlPolicy { max_hosts, ..UrlPolicy::default() }, Arc::new(NoUpstreamObserver)).unwrap()
}

fn line(urls: &Urls, url: &str) -> Arc<Line> {
    urls.line(&Url::parse(url).unwrap()).unwrap()
}

#[tokio::test]
async fn the_host_that_was_not_called_the_longest_is_forgotten() {
    let urls = urls(2);
    let a = line(&urls, "http://a.example/x");
    line(&urls, "http://b.example/");
    assert!(Arc::ptr_eq(&a, &line(&urls, "http://a.example:80/y?z")), "scheme, host and port name a host");
    line(&urls, "http://c.example/");
    assert_eq!(urls.remembered(), 2);
    assert!(Arc::ptr_eq(&a, &line(&urls, "http://a.example/")));
    line(&urls, "https://a.example/");
    assert_eq!(urls.remembered(), 2, "the number of hosts is bounded whatever callers ask for");
}
