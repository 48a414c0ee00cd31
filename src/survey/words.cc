#include "survey/words.h"

namespace imprint::survey {

const std::vector<OwnWord>& own_words() {
  static const std::vector<OwnWord> kWords{
      {"onboarding", "the whole way from factory default to operational, in any protocol"},
      {"provisioning", "only the delivery of credentials and configuration to an authenticated device"},
      {"player",
       "a party: device, manufacturer, reseller, owner, administrator, installer, user, companion (phone), steerer "
       "(registrar, configurator), helper (join proxy, rendezvous), authority (MASA, CA), service; one person may be "
       "several"},
      {"device", "the player that is onboarded"},
      {"manufacturer", "the player that made the device and put its initial beliefs in"},
      {"owner", "the player to whom the device belongs, and whose policy decides about it"},
      {"steerer", "the player that leads the joining: registrar, configurator, commissioner, provisioner"},
      {"helper", "a player that only carries or finds: join proxy, rendezvous, relay"},
      {"authority", "a player whose signature others believe: MASA, CA"},
      {"service", "a player that the device works with afterwards"},
      {"role", "one player's side of one protocol, as code"},
      {"belief", "a fact that a player holds about keys, names or endpoints, with the evidence for it"},
      {"initial beliefs", "what the device holds before a run"},
      {"imparted beliefs", "what a run added to what the device holds"},
      {"evidence",
       "why a belief is held: a check and the beliefs that it stood on, down to the factory, a person's act, or a "
       "contact or claim that nobody checked"},
      {"strength",
       "what the evidence is worth: proved, confirmed, label, proximity, first contact or asserted; never better than "
       "its weakest link"},
      {"ground", "what a chain of evidence ends in: factory, person, contact or claim"},
      {"voucher", "any signed proof of who may own a device (RFC 8366 voucher, FDO ownership voucher)"},
      {"profile", "what a kind of device shall hold when onboarded: certificates, keys, network and service accounts"},
      {"mode", "one way of running a protocol that changes what is believed and why"},
      {"label",
       "the printed or displayed secret or key of a device: it can be copied, swapped, lost, or not sold along with "
       "the device"},
      {"custody", "the chain of owners of a device"},
      {"lifecycle",
       "manufactured, installed, commissioned, operational, in maintenance, decommissioned, replaced, re-owned: "
       "moved by runs and by evidence"},
      {"run", "one execution of one protocol between roles, with its timeline and its beliefs"},
      {"turn",
       "what a role is given (the time, randomness, one input) and leaves (an ordered list of actions, its next "
       "state)"},
      {"record", "a role's own durable memory, opaque to all others: after a restart the role goes on from it"},
      {"ticket", "what a question of ours returns: its answer comes back with it, and no other answer is taken"},
      {"exchange", "somebody else's request to us, answered once"},
      {"session", "a connection as a value: who is there and how proven, own certificate, channel binding"},
  };
  return kWords;
}

}  // namespace imprint::survey
