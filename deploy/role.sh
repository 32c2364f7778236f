#!/bin/sh
# Makes a role and a team token for Uguisu with the `tsuru` command, as somebody who may make roles and tokens:
#
#   deploy/role.sh CONTEXT VALUE TEAM [FEATURE…]
#
# CONTEXT and VALUE bound what the token may touch: `app shop`, `team shop-team`, `pool prod`, or `global ""`.
# TEAM owns the token. FEATURE is one of: rollouts, delete, quarantine, autoscale (see README.md); without any the token can
# only read, which is enough for `mode: observe` and for `[platform] kind = "record"`.
# The last line of the output has the token. Another role and token than `uguisu` can be named by ROLE and TOKEN.
set -eu

if [ $# -lt 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
context=$1 value=$2 team=$3
shift 3
role=${ROLE:-uguisu} token=${TOKEN:-uguisu}

set -- read "$@"
permissions=
for feature in "$@"; do
    case $feature in
        read) permissions="$permissions app.read.info app.read.events" ;;
        rollouts) permissions="$permissions app.update.routable app.update.unit.add app.update.unit.remove app.deploy.rollback" ;;
        delete) permissions="$permissions app.update" ;;
        quarantine) permissions="$permissions app.update.deploy.rollback" ;;
        autoscale)
            permissions="$permissions app.update.unit.autoscale.add app.update.unit.autoscale.remove"
            permissions="$permissions app.update.unit.autoscale.swap"
            ;;
        *)
            echo "there is no feature \`$feature\`; there are rollouts, delete, quarantine, autoscale" >&2
            exit 2
            ;;
    esac
done

tsuru role add "$role" "$context" --description "Uguisu, canary analysis"
# One word for each permission.
# shellcheck disable=SC2086
tsuru role permission add "$role" $permissions
tsuru token create --id "$token" --team "$team" --description "Uguisu, canary analysis"
if [ "$context" = global ]; then
    tsuru role assign "$role" "$token"
else
    tsuru role assign "$role" "$token" "$value"
fi
