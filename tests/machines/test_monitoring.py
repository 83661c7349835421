"""Prometheus and its exporters as rendered, in haste (appliance.HASTE): targets, rules, an alert."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from fleet import FleetTest

# Who has no program in Debian.
ABSENT = {"alloy", "loki"}
SLOT = "quizmentor-reserve"


class Monitoring(FleetTest):
    host = "master"

    def ask(self, url: str) -> Any:
        return json.loads(self.machine.run(f"curl --silent --fail --max-time 10 http://127.0.0.1:{url}"))

    def await_lines(self, url: str, filter: str, expected: str, seconds: float = 60) -> None:
        """Waits until jq's filter makes these lines of the answer."""
        there = f"curl --silent --fail http://127.0.0.1:{url} | jq --raw-output '{filter}' | sort --unique"
        self.machine.until(f"""set -o pipefail; there=$({there}) && diff <(echo "$there") <(echo '{expected}')""", seconds)

    def test_every_exporter_is_scraped(self) -> None:
        jobs = {target["labels"]["job"] for target in self.ask("9090/api/v1/targets")["data"]["activeTargets"]}
        self.assertEqual(jobs - ABSENT, {"haproxy", "node", "postgres", "quizmentor", "redis"})
        absent = " or ".join(f'.labels.job == "{job}"' for job in sorted(ABSENT))
        self.await_lines("9090/api/v1/targets", f'.data.activeTargets[] | select({absent} | not) | .health + " " + .lastError', "up ")
        # An exporter that is up may still not reach what it tells of.
        systemd = 'node_systemd_unit_state{name="haproxy.service",state="active"}'
        for metric, count in {"pg_up": 2, "redis_up": 1, "haproxy_process_uptime_seconds > bool 0": 3, systemd: 3}.items():
            query = "9090/api/v1/query?query=" + urllib.parse.quote(metric)
            self.await_lines(query, ".data.result[].value[1]", "1")
            self.assertEqual(len(self.ask(query)["data"]["result"]), count, metric)

    def test_rules_are_evaluated(self) -> None:
        self.await_lines("9090/api/v1/rules", '.data.groups[].rules[] | .health + " " + (.lastError // "")', "ok ")

    def test_a_slot_that_is_down_raises_an_alert(self) -> None:
        slot = f"{SLOT}-{self.appliance.slots()['reserve'].rpartition('-')[2]}"
        raised = '.[] | select(.labels.alertname == "InstanceDown") | .labels.instance_name + " " + .status.state'
        self.await_lines("9093/api/v2/alerts", raised, "")
        self.machine.run(f"systemctl stop {slot}.socket {slot}.service")
        self.await_lines("9093/api/v2/alerts", raised, "master-reserve active")
        self.machine.run(f"systemctl start {slot}.socket {slot}.service")
        self.await_lines("9090/api/v1/alerts", '.data.alerts[] | select(.labels.alertname == "InstanceDown") | .state', "")
