use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;
use crate::url::RedisUrl;

section! {
    /// Answers that are kept.
    Cache = "cache" {
        /// Memory for answers in this process; 0B keeps none.
        memory: ByteSize = r#""64MiB""# in r#""0B""# to r#""1024GiB""# (Restart);
        /// The largest answer that is kept.
        max_entry: ByteSize = r#""1MiB""# in r#""1B""# to r#""512MiB""# (Restart);
        /// A Redis that several processes share. Not set: none.
        redis_url: Option<RedisUrl> = "" (Restart);
        /// What its keys begin with.
        redis_prefix: String = r#""breakwater:""# (Restart);
        /// The longest that one command of Redis may take; after that the answer is looked for elsewhere.
        redis_timeout: Duration = r#""100ms""# in r#""1ms""# to r#""1m""# (Restart);
    }
}

section! {
    /// URLs that callers give. Private, loopback, link-local and metadata addresses are refused unless they are allowed here.
    Urls = "urls" {
        /// Networks that may be reached though they are private.
        allow_addresses: Vec<ipnet::IpNet> = "[]" (Restart);
        /// Hosts from which pictures are fetched that callers name by URL, such as `cdn.example`, `*.example` or `cdn.example:8443`; none
        /// refuses every such picture.
        image_hosts: Vec<String> = "[]" (Restart);
        /// Redirects that are followed; each is checked like the first URL.
        max_redirects: u32 = "5" in "0" to "20" (Restart);
    }
}
