#!/bin/sh
# Makes the namespace and the search attributes that Tandem needs; does nothing when they are there already.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 \
  || temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"

known=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE")
for attribute in TandemFlow=Keyword TandemVersion=Keyword TandemSubject=KeywordList \
                 TandemCustomer=Keyword TandemTicket=Keyword TandemPhase=Keyword; do
  name=${attribute%%=*} type=${attribute##*=}
  case "$known" in
    *"$name"*) ;;
    *) temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$name" --type "$type" ;;
  esac
done
