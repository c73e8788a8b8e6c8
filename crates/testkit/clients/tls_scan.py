"""HTTP-08: what sslyze, which shares no code with Doorward, finds at a TLS listener on this machine.

Usage: tls_scan.py PORT CERTIFICATE VERSIONS
VERSIONS: `1.2,1.3` or `1.3`, what the listener is configured to speak. CERTIFICATE: the PEM that it is configured with.
One line for each finding; ends with 1 if there is one. A question that the scanner could not put is a finding.
"""

import pathlib
import sys

from cryptography import x509
from sslyze import (
    ScanCommand,
    ScanCommandAttemptStatusEnum,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanStatusEnum,
)

# Of RFC 7525 and its successor RFC 9325, section 4.2: forward secrecy and authenticated encryption, nothing else.
GOOD = {
    "1.2": {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    },
    "1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
}
VERSIONS = {"SSL 2.0": "ssl_2_0", "SSL 3.0": "ssl_3_0", "1.0": "tls_1_0", "1.1": "tls_1_1", "1.2": "tls_1_2", "1.3": "tls_1_3"}


def findings(port, certificate, wanted):
    # The name for SNI and the certificate; the address needs no resolver.
    place = ServerNetworkLocation(hostname="localhost", port=port, ip_address="127.0.0.1")
    # Not the headers of HTTP: what they say is tested elsewhere (http_08_answers_over_tls_demand_tls).
    commands = set(ScanCommand) - {ScanCommand.HTTP_HEADERS}
    # One connection at a time: OpenSSL's s_server takes the next one when the last has ended, and a question that waits for its turn
    # longer than the timeout counts as one that could not be asked.
    scanner = Scanner(per_server_concurrent_connections_limit=1)
    patient = ServerNetworkConfiguration(tls_server_name_indication="localhost", network_timeout=20)
    scanner.queue_scans([ServerScanRequest(server_location=place, network_configuration=patient, scan_commands=commands)])
    (result,) = scanner.get_results()
    if result.scan_status != ServerScanStatusEnum.COMPLETED:
        yield f"the scan did not run: {result.connectivity_status}"
        return
    asked = result.scan_result
    for command in sorted(commands):
        attempt = getattr(asked, command.value)
        if attempt.status != ScanCommandAttemptStatusEnum.COMPLETED:
            yield f"{command.value}: could not be asked: {attempt.error_reason} {attempt.error_trace or ''}"
    answer = lambda command: getattr(asked, command.value).result  # noqa: E731

    for version, name in VERSIONS.items():
        suites = getattr(asked, f"{name}_cipher_suites").result
        accepted = {suite.cipher_suite.name for suite in suites.accepted_cipher_suites} if suites else set()
        if version in wanted and not accepted:
            yield f"{version} is not spoken"
        elif version not in wanted and accepted:
            yield f"{version} is spoken: {sorted(accepted)}"
        for weak in sorted(accepted - GOOD.get(version, accepted)):
            yield f"{version}: a weak suite: {weak}"

    if (compression := answer(ScanCommand.TLS_COMPRESSION)) and compression.supports_compression:
        yield "compression (CRIME)"
    if again := answer(ScanCommand.SESSION_RENEGOTIATION):
        if again.is_vulnerable_to_client_renegotiation_dos:
            yield "a client may renegotiate"
        if "1.2" in wanted and not again.supports_secure_renegotiation:
            yield "no renegotiation indication (RFC 5746)"
    if (early := answer(ScanCommand.TLS_1_3_EARLY_DATA)) and early.supports_early_data:
        yield "early data: a replayed call is a second effect"
    if (bleeding := answer(ScanCommand.HEARTBLEED)) and bleeding.is_vulnerable_to_heartbleed:
        yield "Heartbleed"
    if (injection := answer(ScanCommand.OPENSSL_CCS_INJECTION)) and injection.is_vulnerable_to_ccs_injection:
        yield "CCS injection"
    if (robot := answer(ScanCommand.ROBOT)) and "NOT_VULNERABLE" not in robot.robot_result.name:
        yield f"ROBOT: {robot.robot_result.name}"
    if "1.2" in wanted and (secret := answer(ScanCommand.TLS_EXTENDED_MASTER_SECRET)) and not secret.supports_ems_extension:
        yield "no extended master secret (RFC 7627)"
    if curves := answer(ScanCommand.ELLIPTIC_CURVES):
        for curve in curves.supported_curves or []:
            if curve.name not in {"X25519", "secp256r1", "prime256v1", "secp384r1", "secp521r1"}:
                yield f"an odd curve: {curve.name}"

    configured = x509.load_pem_x509_certificate(pathlib.Path(certificate).read_bytes())
    shown = answer(ScanCommand.CERTIFICATE_INFO)
    for deployment in shown.certificate_deployments if shown else []:
        if deployment.received_certificate_chain[0] != configured:
            yield "another certificate than the configured one"
    if shown and len(shown.certificate_deployments) != 1:
        yield f"{len(shown.certificate_deployments)} certificates"


def main():
    port, certificate, wanted = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
    found = list(findings(port, certificate, wanted))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
