"""Which addresses a result may be fetched from."""

from ipaddress import ip_address

import httpx
import pytest

from nemod.engines.nemo.address import Guard, PrivateAddressError, everywhere


@pytest.mark.parametrize("text", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_a_public_address_means_the_same_everywhere(text: str) -> None:
    """In whatever clothes."""
    assert everywhere(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::",
    ],
)
def test_a_private_address_is_known_in_any_clothes(text: str) -> None:
    """Those that carry an IPv4 address are judged by it."""
    assert not everywhere(ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.mp4",
        "http://localhost:631/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/",
        "https://192.168.0.10/x",
        "file:///etc/passwd",
        "ftp://1.1.1.1/x",
        "gopher://1.1.1.1/",
        "data:video/mp4;base64,AAAA",
        "x.mp4",
        "",
    ],
)
async def test_a_public_cloud_may_not_name_a_private_place(url: str) -> None:
    """Numbers in odd notations among them; nor anything but http and https."""
    with pytest.raises(PrivateAddressError):
        await Guard("https://1.1.1.1").check(httpx.URL(url))


@pytest.mark.parametrize(
    ("home", "url"),
    [
        ("https://1.1.1.1", "https://8.8.8.8/x.mp4"),
        ("http://127.0.0.1:8642", "http://127.0.0.1:9999/x.mp4"),
        ("http://127.0.0.1:8642", "http://localhost:8642/x.mp4"),
        ("http://localhost:8642", "http://127.0.0.2/x.mp4"),
        ("http://192.168.1.5:8642", "http://192.168.1.5/x.mp4"),
        ("http://192.168.1.5:8642", "http://[::ffff:192.168.1.5]/x.mp4"),
        ("http://192.168.1.5:8642", "https://1.1.1.1/x.mp4"),
    ],
)
async def test_a_cloud_may_name_its_own_place_and_the_wide_world(home: str, url: str) -> None:
    """A server of one's own serves its results from where it lives."""
    await Guard(home).check(httpx.URL(url))


@pytest.mark.parametrize(
    ("home", "url"),
    [
        ("http://192.168.1.5", "http://192.168.1.6/"),
        ("http://192.168.1.5", "http://127.0.0.1/"),
        ("http://127.0.0.1", "http://192.168.1.5/"),
        ("http://127.0.0.1", "http://0.0.0.0/"),
    ],
)
async def test_a_cloud_at_home_may_not_name_its_neighbours(home: str, url: str) -> None:
    """Only its own address, or loopback when it lives there."""
    with pytest.raises(PrivateAddressError):
        await Guard(home).check(httpx.URL(url))
