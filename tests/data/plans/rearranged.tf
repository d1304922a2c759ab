terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "terraform_data" "new_name" {
  input = "moved"
}

moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}

resource "terraform_data" "new_and_changed" {
  input = "v2"
}

moved {
  from = terraform_data.old_and_changed
  to   = terraform_data.new_and_changed
}

removed {
  from = fakecloud_bucket.forgotten
  lifecycle {
    destroy = false
  }
}

import {
  to = fakecloud_bucket.adopted
  id = "b-adopted1"
}

resource "fakecloud_bucket" "adopted" {
  name = "adopted"
}

import {
  to = fakecloud_bucket.adopted_and_changed
  id = "b-adopted2"
}

resource "fakecloud_bucket" "adopted_and_changed" {
  name = "adopted2"
  size = 9
}
