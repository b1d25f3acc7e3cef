//! Finds DPDK, compiles the shim and generates the bindings.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, panic};

/// The libraries the bindings call. Drivers are plugins that EAL loads at run time, with what they need themselves.
const LIBRARIES: [&str; 4] = ["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool"];

/// What DPDK is to be compiled with: its least processor, its build configuration, and the `cpu_set_t` of glibc.
const FLAGS: [&str; 4] = ["-march=corei7", "-include", "rte_config.h", "-D_GNU_SOURCE"];

const FUNCTIONS: &[&str] = &[
    "rte_dev_name",
    "rte_dev_probe",
    "rte_dev_remove",
    "rte_eal_cleanup",
    "rte_eal_get_lcore_state",
    "rte_eal_get_runtime_dir",
    "rte_eal_init",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_eth_allmulticast_disable",
    "rte_eth_allmulticast_enable",
    "rte_eth_allmulticast_get",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_mac_addr_add",
    "rte_eth_dev_mac_addr_remove",
    "rte_eth_dev_rss_reta_update",
    "rte_eth_dev_set_link_down",
    "rte_eth_dev_set_link_up",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_find_next_of",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_get",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_tx_queue_setup",
    "rte_get_main_lcore",
    "rte_get_next_lcore",
    "rte_lcore_cpuset",
    "rte_lcore_is_enabled",
    "rte_lcore_to_socket_id",
    "rte_log_set_level_pattern",
    "rte_mempool_avail_count",
    "rte_memzone_free",
    "rte_memzone_reserve_aligned",
    "rte_pktmbuf_pool_create",
    "rte_strerror",
    "sluice_.*",
];

const CONSTANTS: &[&str] = &[
    "RTE_ETH_MQ_RX_RSS",
    "RTE_ETH_RETA_GROUP_SIZE",
    "RTE_MAX_ETHPORTS",
    "RTE_MAX_LCORE",
    "RTE_PKTMBUF_HEADROOM",
    "SLUICE_.*",
    "WAIT",
];

/// Where DPDK looks up what a port does with a burst.
const VARIABLES: &[&str] = &["rte_eth_fp_ops"];

/// Types that are only ever pointed to; some change from one version of DPDK to the next.
const OPAQUE: &[&str] = &["rte_device", "rte_mbuf", "rte_mempool", "rte_memzone"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim.c");
    println!("cargo::rerun-if-changed=shim.h");
    if let Err(error) = build() {
        println!("cargo::error={}", error.to_string().replace('\n', "; "));
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let dpdk = pkg_config::Config::new()
        .atleast_version("22.11")
        .cargo_metadata(false)
        .env_metadata(true)
        .probe("libdpdk")
        .map_err(|_| {
            "DPDK 22.11 or newer is needed: install libdpdk-dev and pkg-config (Debian); \
             `pkg-config --modversion libdpdk` says what is found"
        })?;
    compile_shim(&dpdk.include_paths)?;
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    generate_bindings(&dpdk.include_paths)
}

fn compile_shim(include_paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut compiler = cc::Build::new();
    for flag in FLAGS {
        compiler.flag(flag);
    }
    compiler
        .file("shim.c")
        .includes(include_paths)
        // Experimental functions would be warnings in DPDK's own headers.
        .define("ALLOW_EXPERIMENTAL_API", None)
        .try_compile("sluice_shim")
        .map_err(|error| format!("the C shim over DPDK does not compile: is gcc installed (Debian)? ({error})").into())
}

fn generate_bindings(include_paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    require_libclang()?;
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(FLAGS)
        .clang_args(include_paths.iter().map(|path| format!("-I{}", path.display())))
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_debug(false)
        .generate_comments(false)
        .layout_tests(true);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for variable in CONSTANTS.iter().chain(VARIABLES) {
        builder = builder.allowlist_var(variable);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let bindings = builder.generate().map_err(|error| format!("DPDK's headers cannot be read: {error}"))?;
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: this is to be run by cargo")?;
    bindings.write_to_file(Path::new(&out).join("bindings.rs"))?;
    Ok(())
}

/// bindgen panics where it cannot load libclang, with a message that does not say what to install.
fn require_libclang() -> Result<(), Box<dyn Error>> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let found = panic::catch_unwind(bindgen::clang_version);
    panic::set_hook(hook);
    match found {
        Ok(_) => Ok(()),
        Err(_) => Err("libclang is needed to read DPDK's headers: install libclang-dev (Debian)".into()),
    }
}
